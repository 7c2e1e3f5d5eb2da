"""Slots: equal parts of one memory, each of which is lent to one batch after the other."""
from src.memory.pool import Lender, pooled_empty


class Slots:
    """The slots of `memory`, uint8 [count * length], numbered from 0; at first all are free."""

    def __init__(self, memory, count):
        self._slots = list(memory.reshape(count, -1))
        self._lender = Lender()
        for slot in self._slots:
            self._lend(slot)  # and given back at once

    def take(self):
        """The number of a free slot; it must be lent later on. IndexError if there is none."""
        taken = self._lender.take()
        return next(number for number, slot in enumerate(self._slots) if slot is taken)

    def lend(self, number):
        """Lends a slot that was taken, as uint8 [length]; it is free again when the last view of the array is gone.

        The last free slot is never lent, but a copy of it: there is one to take, however many arrays somebody keeps.
        """
        slot = self._slots[number]
        if self._lender.has_free():
            return self._lend(slot)
        copy = pooled_empty(slot.shape, slot.dtype)
        copy[:] = slot
        self._lend(slot)
        return copy

    def _lend(self, slot):
        return self._lender.lend(slot, slot.shape, slot.dtype)
