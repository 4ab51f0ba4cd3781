"""Is the bed itself to be believed? What the oracle, the random baseline and the watch over the physics say."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from grasp_eval.bench.metrics import ORACLE_LIMIT, UNPHYSICAL_LIMIT

ORACLE, RANDOM = "oracle", "top_down"  # names of the bed's own contestants
NAMES = {ORACLE: "oracle (grasps from the true meshes)", RANDOM: "random grasps from above"}
GOOD, BAD, UNCLEAR, NOT_RUN = "good", "bad", "unclear", "not run"
FEW = " So far: by its 95 % interval this could be otherwise, more rounds would tell."
DISTRUST = "Do not trust this bed: "


def checks(summary: Mapping[str, Any], references: Mapping[str, Mapping[str, Any]]) -> list[dict[str, Any]]:
    """What must hold before the numbers of a run mean anything.

    Args:
        summary: of the run, see ``metrics.summarise``.
        references: contestant (``oracle``, ``top_down``) -> summary of its run on the same scenes; what is missing was
            not run. A run of one of them is its own reference.

    Returns:
        One entry per check: name, state (GOOD; BAD; UNCLEAR: missed, but by so few attempts that it may be chance;
        NOT_RUN), share (see ``intervals.shares``, or None), text (a sentence). Random grasps push and jam more than any
        detector: what is unphysical in them counts in their own reports alone.
    """
    runs = dict(references)
    if summary["detector"] in NAMES:
        runs.setdefault(summary["detector"], summary)
    oracle, random = (runs.get(name) for name in (ORACLE, RANDOM))
    found = [
        _success(ORACLE, oracle, _oracle_state(oracle), _oracle_text(oracle)),
        _success(RANDOM, random, _random_state(random), _random_text(random)),
        _unphysical(summary, "of this run"),
    ]
    if oracle is not None and oracle is not summary:
        found.append(_unphysical(oracle, f"of {NAMES[ORACLE]}"))
    return found


def trusted(found: list[dict[str, Any]]) -> bool | None:
    """True when all checks are good, False when one is bad, None when some were not run or are unclear."""
    states = {check["state"] for check in found}
    return False if BAD in states else states == {GOOD} or None


def _rate(run: Mapping[str, Any] | None) -> float | None:
    return None if run is None else run["gsr"]["rate"]


def _success(name: str, run: Mapping[str, Any] | None, state: str, text: str) -> dict[str, Any]:
    return {"name": f"success of {NAMES[name]}", "state": state, "share": run["gsr"] if run else None, "text": text}


def _oracle_state(run: Mapping[str, Any] | None) -> str:
    if _rate(run) is None:
        return NOT_RUN
    if _rate(run) >= ORACLE_LIMIT:
        return GOOD
    return BAD if run["gsr"]["wilson"][1] < ORACLE_LIMIT else UNCLEAR


def _random_state(run: Mapping[str, Any] | None) -> str:
    if _rate(run) is None:
        return NOT_RUN
    return GOOD if _rate(run) < ORACLE_LIMIT else BAD


def _oracle_text(run: Mapping[str, Any] | None) -> str:
    rate = _rate(run)
    if rate is None:
        return "No attempt of the oracle on these scenes, so nothing says that good grasps hold in this bed."
    if _oracle_state(run) == UNCLEAR:
        return f"{100 * rate:.1f} % of few attempts held, expected at least {100 * ORACLE_LIMIT:.0f} %.{FEW}"
    if rate < ORACLE_LIMIT:
        return (
            f"{DISTRUST}grasps made from the true meshes hold in {100 * rate:.1f} % of attempts only, expected at "
            f"least {100 * ORACLE_LIMIT:.0f} %. What fails here may be the physics and not the detector."
        )
    doubt = FEW if run["gsr"]["wilson"][0] < ORACLE_LIMIT else ""
    return f"Grasps made from the true meshes hold, as they must (at least {100 * ORACLE_LIMIT:.0f} %).{doubt}"


def _random_text(run: Mapping[str, Any] | None) -> str:
    rate = _rate(run)
    if rate is None:
        return "No attempt with random grasps on these scenes, so nothing says how easy they are."
    if rate >= ORACLE_LIMIT:
        return f"{DISTRUST}random grasps from above hold in {100 * rate:.1f} % of attempts; the scenes are too easy."
    return "What a detector has to beat: random grasps from above on the same scenes."


def _unphysical(run: Mapping[str, Any], whose: str) -> dict[str, Any]:
    share, limit = run["unphysical"], f"{100 * UNPHYSICAL_LIMIT:.0f} %"
    what = f"{100 * (share['rate'] or 0):.1f} % of attempts something happened that cannot happen in the world (bodies "
    what += f"overlap, something flies off), expected at most {limit}."
    if share["rate"] is None:
        state, text = NOT_RUN, "No attempt, so nothing to watch."
    elif share["within"]:
        doubt = FEW if share["wilson"][1] > UNPHYSICAL_LIMIT else ""
        state, text = GOOD, f"Bodies overlap or fly off in at most {limit} of attempts, as they must.{doubt}"
    elif share["wilson"][0] <= UNPHYSICAL_LIMIT:
        state, text = UNCLEAR, f"In {what}{FEW}"
    else:
        state, text = BAD, f"{DISTRUST}in {what}"
    return {"name": f"unphysical events {whose}", "state": state, "share": share, "text": text}
