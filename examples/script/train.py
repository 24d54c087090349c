"""A script that knows nothing of sweeps: it fits digits with scikit-learn, prints, and saves what it has."""

import argparse
import pickle
from pathlib import Path

from sklearn.datasets import load_digits
from sklearn.linear_model import SGDClassifier
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import scale

parser = argparse.ArgumentParser()
parser.add_argument("--alpha", type=float, default=1e-4, help="how strong the penalty is")
parser.add_argument("--loss", default="hinge", help="hinge, log_loss or modified_huber")
parser.add_argument("--l1-ratio", type=float, help="how much of the penalty is L1; without it, all is L2")
parser.add_argument("--epochs", type=int, default=10)
parser.add_argument("--seed", type=int, default=0)
parser.add_argument("--out", type=Path, default=Path("."), help="where the model is saved")
parser.add_argument("--resume", type=Path, help="a model to continue from")
given = parser.parse_args()

inputs, labels = load_digits(return_X_y=True)
train_x, test_x, train_y, test_y = train_test_split(scale(inputs), labels, test_size=0.25, random_state=0)

if given.resume:
    epoch, model = pickle.loads(given.resume.read_bytes())
    print(f"continuing after epoch {epoch}")
else:
    penalty = "l2" if given.l1_ratio is None else "elasticnet"
    ratio = 0.15 if given.l1_ratio is None else given.l1_ratio
    model = SGDClassifier(
        loss=given.loss, penalty=penalty, alpha=given.alpha, l1_ratio=ratio, random_state=given.seed
    )
    epoch = 0

while epoch < given.epochs:
    epoch += 1
    model.partial_fit(train_x, train_y, classes=range(10))
    print(f"epoch {epoch}: test accuracy {model.score(test_x, test_y):.4f}")
    fresh = given.out / "model.pickle.new"
    fresh.write_bytes(pickle.dumps((epoch, model)))
    fresh.replace(given.out / "model.pickle")
