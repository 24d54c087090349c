"""Language models of mlx-lm: `task: lm:FineTune`, `task: lm:Pretrain`. The only package that imports mlx-lm.

pretrain      the task: any architecture from random weights, on files of tokens or texts
architecture  a model's shape, from its config.json
tokens        files of tokens and texts as windows of tokens
fine_tune     the task: LoRA, DoRA and full fine-tuning by mlx-lm's own configuration
settings      that configuration, read by its own keys
optimization  its optimizer and schedule by the training core's names
base          the model and tokenizer that a process reads once
checkpointed  layers whose values are computed again for the gradient
adapters      rank, scale, dropout and layers given for the time of a call
examples      jsonl files as rows of tokens
generating    what a model generates, and what that is worth (a package)
export        adapters as mlx-lm writes them
memory        how much of it fine-tuning takes, by a model's shape
"""

try:
    from lm.fine_tune import FineTune
    from lm.pretrain import Pretrain
except ModuleNotFoundError as error:
    if (error.name or "").partition(".")[0] not in ("mlx_lm", "transformers"):
        raise
    raise ModuleNotFoundError("mlx-lm is not installed. Type: pip install 'sweep-mlx[lm]'") from error

__all__ = ["FineTune", "Pretrain"]
