"""Early stopping: the least validation loss so far, and how long nothing has come near it.

Two rules that are easily confused: the weights kept are those with the least loss, by however little; patience begins
anew only with an improvement of at least `min_improvement` on the loss with which it began.
"""

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class Patience:
    """Where it stands after some validations; kept in checkpoints."""

    least: float | None = None
    step: int = 0
    """At which the loss was the least."""
    mark: float | None = None
    """The loss that has to be improved on."""
    waited: int = 0
    """Validations since."""

    def over(self, validations: int) -> bool:
        """Whether so many validations without improvement have passed; 0: they never have."""
        return 0 < validations <= self.waited

    def after(self, loss: float, step: int, *, min_improvement: float) -> "Patience":
        """Where it stands after one more; a loss that is no number is never better."""
        number = not math.isnan(loss)
        better = number and (self.least is None or loss < self.least)
        improved = better and (self.mark is None or self.mark - loss >= min_improvement)
        return Patience(
            least=loss if better else self.least,
            step=step if better else self.step,
            mark=loss if improved else self.mark,
            waited=0 if improved else self.waited + 1,
        )
