"""All programs: with a fault, and sound ones that look odd.

Those of `drawn_*` were held out, drawn by name, until they were read to mend rules. Those of
`blind` were written on 2026-12-01 by one who had not seen the rules. At first sight 38 of these 60
faults were named first, 23 of the 26 in which the output does not fit the loss, and 2 of 87 sound
forms were given one; then they were read to mend rules, too.
"""

from itertools import chain

from mlr.benchmarks.programs import (
    data,
    drawn_head_loss,
    drawn_look_alikes,
    drawn_others,
    head_loss_binary,
    head_loss_classes,
    head_loss_numbers,
    look_alikes,
    loop,
    network,
)
from mlr.benchmarks.programs.blind import data as blind_data
from mlr.benchmarks.programs.blind import head_loss_binary as blind_binary
from mlr.benchmarks.programs.blind import head_loss_classes as blind_classes
from mlr.benchmarks.programs.blind import head_loss_numbers as blind_numbers
from mlr.benchmarks.programs.blind import look_alikes_loops as blind_loops
from mlr.benchmarks.programs.blind import look_alikes_losses as blind_losses
from mlr.benchmarks.programs.blind import loop as blind_loop
from mlr.benchmarks.programs.blind import network as blind_network
from mlr.benchmarks.programs.blind import settings as blind_settings
from mlr.benchmarks.programs.case import Faulty, LookAlike

_FAULTY = (
    *(head_loss_classes, head_loss_binary, head_loss_numbers, loop, network, data),
    *(drawn_head_loss, drawn_others),
    *(blind_classes, blind_binary, blind_numbers, blind_loop, blind_settings),
    *(blind_network, blind_data),
)
_LOOK_ALIKES = (look_alikes, drawn_look_alikes, blind_losses, blind_loops)

FAULTY: tuple[Faulty, ...] = tuple(chain.from_iterable(one.CASES for one in _FAULTY))
LOOK_ALIKES: tuple[LookAlike, ...] = tuple(chain.from_iterable(one.CASES for one in _LOOK_ALIKES))
