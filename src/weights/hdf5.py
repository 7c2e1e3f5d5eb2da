"""Weights of the original FlowNet2: .caffemodel.h5, the HDF5 file that Caffe's snapshots are.

A reader of its own, because what Caffe writes is this small part of HDF5: groups as symbol tables, floats in one
piece each. (h5py would be a library of megabytes to install, and to keep hostile files from.) The format is that of
the HDF5 File Format Specification, version 2.0 and before; what is newer than HDF5 1.6 is refused.
"""
from src.files import InputError

MAGIC = b'\x89HDF\r\n\x1a\n'
MOST_OBJECTS = 20000

_DATASPACE, _DATATYPE, _EXTERNAL, _LAYOUT, _CONTINUED, _SYMBOLS = 1, 3, 7, 8, 16, 17  # messages of an object
_HARD_LINK = (0, 1)  # the kinds of entries that are no symbolic link


def read(file):
    """Reads a .caffemodel.h5: Bytes → {layer: [Array of each blob]}.

    Raises:
        InputError: it is damaged, or not as Caffe writes it.
    """
    return _Reader(file).layers()


class _Reader:

    def __init__(self, file):
        self._file, self._left = file, MOST_OBJECTS
        version, offset_size, length_size = file.numbers('<8xB4xBB', 0)
        if version not in (0, 1) or (offset_size, length_size) != (8, 8):
            raise InputError('is of a version of HDF5 that Caffe does not write')
        self._addresses = 24 + 4 * version  # in the superblock: base, free space, end, driver, root's entry

    def layers(self):
        base, _, _, _, _, root = self._file.numbers('<6Q', self._addresses)
        if base:
            raise InputError('is an HDF5 file that begins with something else')
        groups = self._members(root)
        if 'data' not in groups:
            raise InputError('is no net of Caffe: an HDF5 file without the group data')
        return {name: self._blobs(at) for name, at in self._members(groups['data']).items()}

    def _blobs(self, at):
        """The Arrays of a layer's group, whose members are 0 for the weights and 1 for the biases."""
        members = self._members(at)
        return [self._dataset(members[name]) for name in sorted(members)]

    def _spend(self, objects=1):
        self._left -= objects
        if self._left < 0:
            raise InputError('has more than %d objects, or runs in a circle' % MOST_OBJECTS)

    def _messages(self, at):
        """{kind: Bytes} of the object that lies at an address."""
        version, count, size = self._file.numbers('<BxH4xI', at)
        if version != 1:
            raise InputError('has objects as HDF5 1.6 does not write them')
        blocks, found = [self._file.part(at + 16, size)], {}
        while blocks:
            block, position = blocks.pop(), 0
            while position + 8 <= len(block) and count:
                self._spend()
                count -= 1
                kind, size = block.numbers('<HH', position)
                found[kind] = block.part(position + 8, size)
                if kind == _CONTINUED:
                    blocks.append(self._file.part(*found[kind].numbers('<QQ', 0)))
                position += 8 + size
        return found

    def _members(self, at):
        """{name: address} of what is in a group."""
        messages = self._messages(at)
        if _SYMBOLS not in messages:
            raise InputError('has a group as HDF5 1.6 does not write it')
        tree, heap = messages[_SYMBOLS].numbers('<QQ', 0)
        signature, names = self._file.numbers('<4s20xQ', heap)
        if signature != b'HEAP':
            raise InputError('is damaged: a group has no names')
        members, nodes = {}, [tree]
        while nodes:
            node = nodes.pop()
            signature, count = self._file.numbers('<4sxxH', node)
            self._spend(1 + count)
            if signature == b'TREE':  # a key, child, key, child, …, key behind two neighbours
                nodes += self._file.numbers('<' + count * '8xQ', node + 24)
            elif signature == b'SNOD':
                for entry in range(count):
                    name, address, kind = self._file.numbers('<QQI', node + 8 + 40 * entry)
                    if kind not in _HARD_LINK:
                        raise InputError('has links, as Caffe writes none')
                    members[self._name(names + name)] = address
            else:
                raise InputError('is damaged: a group has no members')
        return members

    def _name(self, at):
        letters = self._file.at(at, min(200, max(0, len(self._file) - at)))
        return letters.split(b'\0')[0].decode('utf-8', 'replace')

    def _dataset(self, at):
        """The Array of a dataset."""
        messages = self._messages(at)
        if not {_DATASPACE, _DATATYPE, _LAYOUT} <= set(messages) or _EXTERNAL in messages:
            raise InputError('has a blob that is no array, as Caffe writes none')
        version, axes, _ = messages[_DATASPACE].numbers('<BBB', 0)
        start = {1: 8, 2: 4}.get(version)
        kind, order, size = messages[_DATATYPE].numbers('<BB2xI', 0)
        if start is None or kind & 15 != 1 or order & 65 or size not in (4, 8):
            raise InputError('has numbers that are no float32 or float64, as Caffe writes none')
        shape = messages[_DATASPACE].numbers('<%dQ' % axes, start)
        version, storage, address = messages[_LAYOUT].numbers('<BBQ', 0)
        if (version, storage) != (3, 1):
            raise InputError('has numbers in pieces or packed, as Caffe writes none')
        return self._file.array(address, '<f%d' % size, shape)
