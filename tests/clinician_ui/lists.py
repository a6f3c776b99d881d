"""Work lists made of items, counted as the database counts them, for what is shown of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from arbiter.lifecycle.states import Phase
from arbiter.workflow.work_list import EVERYTHING, Counted, Counts, Narrowing, WorkItem, WorkList
from clinician_ui.presenters.times import Here
from clinician_ui.presenters.work import WorkPage, work_page
from clinician_ui.presenters.work_filter import Wish


def listed(
    items: Iterable[WorkItem], here: Here, narrowing: Narrowing = EVERYTHING, page: int = 1, pages: int = 1
) -> WorkList:
    """Return the list of these items."""
    every = tuple(items)
    mine = tuple(item for item in every if item.mine)
    waiting = tuple(item for item in every if not item.mine and item.phase is Phase.ESCALATED)
    alike = Counter(
        (
            item.site,
            item.title.lower(),
            item.risk_class,
            item.overdue or (item.due_at is not None and item.due_at <= here.now),
            item.called and item.acknowledged_by is None,
        )
        for item in waiting
    )
    counts = Counts(
        tuple(Counted(*key, cases=cases) for key, cases in alike.items()),
        len(mine),
        len(every) - len(mine) - len(waiting),
    )
    titles = {item.title.lower(): item.title for item in waiting}
    return WorkList(here.now, mine, waiting, narrowing, page, pages, counts, titles)


def listed_page(items: Iterable[WorkItem], here: Here, wish: Wish | None = None) -> WorkPage:
    """Return the page of these items for a reviewer of every site there is here."""
    wish = Wish() if wish is None else wish
    return work_page(listed(items, here, wish.narrowing), wish, here, here.sites)
