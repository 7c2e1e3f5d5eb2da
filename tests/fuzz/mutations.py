"""Makes valid files malformed: at any byte or number, and in what a format protects by checksums."""
import copy
import io
import json
import re
import struct
import zipfile
import zlib

import table

NUMBERS = [0, 1, 2, 15, 16, 17, 127, 128, 255, 256, 32767, 32768, 65535, 65536, 99999, 100000, 2 ** 24, 2 ** 30,
           2 ** 31 - 1, 2 ** 31, 2 ** 32 - 1, 2 ** 40, 2 ** 62, 2 ** 63 - 1, 2 ** 63, 2 ** 64 - 1]
WORDS = ['-1', '1e9', '-1e9', '1e999', 'nan', 'inf', '', ' ', '\u00b2', '\u0663', 'x', '"', ',', '\n', '\r', '../..',
         '\0', '\ufeff', '\ud800', '#', '7' * 5000, 'a' * 200000] + [str(number) for number in NUMBERS]
VALUES = [None, True, False, 0.5, 1e308, float('nan'), [], {}, [1], {'a': 1}, [[]]] + NUMBERS + WORDS
DIGITS = re.compile(rb'\d+')
CHUNKS = [b'iCCP', b'tRNS', b'PLTE', b'pHYs', b'acTL', b'fcTL', b'fdAT', b'eXIf', b'gAMA', b'zTXt', b'cHRM', b'bKGD']


def mutated(rng, form, data):
    """A file that is made of `data`, a valid one of this form; `rng`, a random.Random, decides how."""
    own = {'png': _png, 'json': _json, 'npz': _npz, 'text': _text, 'index': _index, 'graph': _graph}.get(form, _bytes)
    return (own if rng.random() < .7 else _bytes)(rng, data)


def _bytes(rng, data):
    """Up to four changes, after one another."""
    for _ in range(rng.randint(1, 4)):
        # Headers lie at the start, TIFF's at the end.
        place = rng.choice([rng.randint(0, min(len(data), 64)), rng.randint(0, len(data)),
                            rng.randint(max(0, len(data) - 300), len(data))])
        data = _changed(rng, data[:place], data[place:])
    return data


def _changed(rng, before, after):
    kind = rng.choice('value value insert flip flip remove end repeat'.split())
    if kind == 'value':
        value = _value(rng)
        return before + value + after[len(value):]
    if kind == 'insert':
        return before + _value(rng) + after
    if kind == 'flip' and after:
        return before + bytes([after[0] ^ 1 << rng.randrange(8)]) + after[1:]
    if kind == 'remove':
        return before + after[rng.randint(1, 16):]
    if kind == 'repeat':
        return before + after[:16] * rng.randint(1, 4) + after
    return before


def _value(rng):
    if rng.random() < .3:
        return bytes(rng.randrange(256) for _ in range(rng.randint(1, 8)))
    form = rng.choice(['<H', '>H', '<I', '>I', '<Q', '>Q'])
    return struct.pack(form, rng.choice(NUMBERS) % 256 ** struct.calcsize(form))


def _text(rng, data):
    """Some of its first numbers replaced."""
    for _ in range(rng.randint(1, 2)):
        spans = [match.span() for match in DIGITS.finditer(data[:2000])]
        if spans:
            start, end = rng.choice(spans)
            data = data[:start] + rng.choice(WORDS).encode('utf-8', 'surrogatepass') + data[end:]
    return data


def _json(rng, data):
    """Some part of the content replaced by any other."""
    content = {'': json.loads(data.decode())}
    for _ in range(rng.randint(1, 2)):
        inner, key = rng.choice(list(_places(content)))
        inner[key] = copy.deepcopy(rng.choice(VALUES))
    return json.dumps(content['']).encode()


def _places(content):
    """All (list or dict, index or key) of a JSON content."""
    for key in list(content if isinstance(content, dict) else range(len(content))):
        yield content, key
        if isinstance(content[key], (dict, list)):
            for place in _places(content[key]):
                yield place


def _png(rng, data):
    """A chunk changed or one more, with checksums that fit; or pixels whose compression fits."""
    chunks, start = [], 8
    while start < len(data):
        length, = struct.unpack_from('>I', data, start)
        chunks.append((data[start + 4:start + 8], data[start + 8:start + 8 + length]))
        start += 12 + length
    number = rng.randrange(len(chunks))
    name, content = chunks[number]
    if rng.random() < .3:
        chunks.insert(number + 1, (rng.choice(CHUNKS), bytes(rng.randrange(256) for _ in range(rng.randint(0, 40)))))
    elif name == b'IDAT' and rng.random() < .5:
        chunks[number] = name, zlib.compress(_bytes(rng, zlib.decompress(content)))
    else:
        chunks[number] = name, _bytes(rng, content)
    return data[:8] + b''.join(struct.pack('>I', len(content)) + name + content
                               + struct.pack('>I', zlib.crc32(name + content)) for name, content in chunks)


def _npz(rng, data):
    """The files in an archive changed, with checksums that fit."""
    made = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as before, zipfile.ZipFile(made, 'w', zipfile.ZIP_DEFLATED) as after:
        for name in before.namelist():
            content = before.read(name)
            after.writestr(name, rng.choice([_text, _bytes])(rng, content) if rng.random() < .6 else content)
    return made.getvalue()


def _index(rng, data):
    """The index of a checkpoint with an entry changed, whole as a table."""
    entries = table.read(data)
    number = rng.randrange(len(entries))
    key, value = entries[number]
    if rng.random() < .1:
        key = _bytes(rng, key)
    elif rng.random() < .2:
        value = _bytes(rng, value)
    else:
        for _ in range(rng.randint(1, 3)):
            value = table.with_number(rng, value, NUMBERS)
    entries[number] = key, value
    return table.write(entries)


def _graph(rng, data):
    """A graph with something else in a node: of its constants the shape or the content, of others any byte."""
    from src.tf import tf
    graph = tf.GraphDef.FromString(data)
    node = rng.choice(graph.node)
    if node.op == 'Const' and rng.random() < .5:
        value = node.attr['value'].tensor
        if rng.random() < .8:
            del value.tensor_shape.dim[:]
            for _ in range(rng.randint(0, 5)):
                value.tensor_shape.dim.add().size = (rng.choice(NUMBERS) + 2 ** 63) % 2 ** 64 - 2 ** 63
        value.tensor_content = value.tensor_content[:rng.choice([0, 0, 1, 4, 216])]
        value.float_val.extend([1.] * rng.randint(0, 2))
        return graph.SerializeToString()
    try:
        node.ParseFromString(_bytes(rng, node.SerializeToString()))
    except Exception:  # of protobuf, by version
        return _bytes(rng, data)
    return graph.SerializeToString()
