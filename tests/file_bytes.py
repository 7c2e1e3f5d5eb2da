"""Files by their bytes: a flow, a PNG of 16 bits, and the lines that refuse what is wrong."""
import struct
import zlib

import numpy as np

from error_lines import message

FLOW = np.array([[[1, -2], [3.5, 4]], [[0, 0], [-5, 6.25]], [[7, 8], [9, 10]]], np.float32)  # (3, 2, 2)
FLO = b'PIEH' + struct.pack('<ii12f', 2, 3, *FLOW.ravel())


def put(folder, name, data):
    path = str(folder / name)
    with open(path, 'wb') as file:
        file.write(data)
    return path


def refusal(call, path, *arguments):
    """The one line that a wrong file gives; it names the file."""
    text = message(call, path, *arguments)
    assert path in text
    return text


def png(rows, width, height, color):
    """A 16-bit PNG from scratch: rows of big-endian samples, `color` 0 grey or 2 RGB."""
    def chunk(name, data):
        return struct.pack('>I', len(data)) + name + data + struct.pack('>I', zlib.crc32(name + data))

    header = struct.pack('>IIBBBBB', width, height, 16, color, 0, 0, 0)
    content = b''.join(b'\0' + struct.pack('>%dH' % len(row), *row) for row in rows)
    return (b'\x89PNG\r\n\x1a\n' + chunk(b'IHDR', header) + chunk(b'IDAT', zlib.compress(content))
            + chunk(b'IEND', b''))
