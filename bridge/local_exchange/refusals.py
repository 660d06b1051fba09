"""Refusals that carry more than a code and a message."""

from __future__ import annotations

from bridge.local_exchange.shapes import Json, Object
from workbench.execution.orders import Rejected

HALF_DONE = (-2021, "Order cancel-replace partially failed.", 409)
NOT_DONE = (-2022, "Order cancel-replace failed.", 400)


class ReplaceFailed(Rejected):
    """A cancel-replace of which one half, or both, failed; `data` tells which."""

    def __init__(self, canceled: Json, placed: Json, data: Object) -> None:
        half_done = "SUCCESS" in (canceled, placed)
        code, message, self.status = HALF_DONE if half_done else NOT_DONE
        super().__init__(code, message)
        self.data = data | {"cancelResult": canceled, "newOrderResult": placed}

    @property
    def counts_order(self) -> bool:
        """Whether the new order counts all the same: it was placed, or not even attempted."""
        return self.data["newOrderResult"] != "FAILURE"


def as_json(refusal: Rejected) -> Object:
    """Return a refusal as an answer shows it."""
    answer: Object = {"code": refusal.code, "msg": refusal.message}
    if isinstance(refusal, ReplaceFailed):
        answer["data"] = refusal.data
    return answer
