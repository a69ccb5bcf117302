"""V2Drop (arXiv 2509.01552): keeps the tokens that change most from one layer to the next."""

from __future__ import annotations

from torch import Tensor

from .base import Method, StageContext
from .variation import check_metric, token_variation


class V2Drop(Method):
    """The V2Drop method. `metric` is how variation is measured: see `token_variation`."""

    name = "v2drop"

    def __init__(self, metric: str = "l2") -> None:
        check_metric(metric)
        self.metric = metric

    def score(self, context: StageContext) -> Tensor:
        """The variation of each token."""
        return token_variation(context.current, context.previous, self.metric)
