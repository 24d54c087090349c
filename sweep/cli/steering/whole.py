"""Verbs on a run as a whole: pause, resume, stop."""

from __future__ import annotations

from sweep.cli.ending import errors_end_the_command
from sweep.cli.options import AsJson, print_json
from sweep.cli.steering.asking import Steered, print_answer


def pause(run: Steered, as_json: AsJson = False) -> None:
    """Save all trials and end the workers of a study, which give their memory back; the study waits.

    A study that is killed while it is paused stays paused.

    \b
    sweep pause runs/digits
    sweep resume runs/digits
    """
    from sweep.api.steering import verbs

    print_answer(lambda: verbs.pause(run), as_json=as_json)


def resume(run: Steered, as_json: AsJson = False) -> None:
    """Let a paused study train again. A study that was stopped is resumed by `sweep run`.

    \b
    sweep resume runs/digits
    """
    from sweep.api.steering import verbs

    print_answer(lambda: verbs.resume(run), as_json=as_json)


def stop(run: Steered, as_json: AsJson = False) -> None:
    """Stop a study, here or on its cluster's head: what runs is saved, `sweep run` resumes it.

    \b
    sweep stop runs/digits
    sweep stop study.yaml       one that runs on its cluster's head
    """
    from sweep.api.remote import RemoteStudy
    from sweep.api.steering import verbs
    from sweep.api.steering.remote import place_of

    with errors_end_the_command():
        found = place_of(run)
        if isinstance(found, RemoteStudy):
            found.stop()
    if not isinstance(found, RemoteStudy):
        print_answer(lambda: verbs.stop(run), as_json=as_json)
    elif as_json:
        print_json({"study": found.spec.name, "host": found.host})
    else:
        said = f"{found.spec.name}: stopping on {found.host}"
        print(f"{said}; python -m sweep attach {run} follows it to its end")
