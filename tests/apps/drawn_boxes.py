"""Small pictures of square faces with their boxes, for tests of the face detector's trainer: no photographs."""
import os
import random
import struct
import zlib


def png(width, height, pixels):
    chunk = lambda kind, data: struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    rows = b"".join(b"\0" + pixels[y * width * 3 : (y + 1) * width * 3] for y in range(height))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def drawn(seed):
    """A picture of coloured patches with square faces, bare or with a blue lower half; and its boxes as Pascal VOC."""
    chance = random.Random(seed)
    width, height = 120, 90
    patches = [[tuple(chance.randrange(256) for _ in range(3)) for _ in range(6)] for _ in range(5)]
    pixels = bytearray(b"".join(bytes(patches[y * 5 // height][x * 6 // width]) for y in range(height) for x in range(width)))
    objects = ""
    for place in range(seed % 4):
        side = chance.randrange(14, 34)
        left, top = 40 * place + chance.randrange(0, 40 - side + 1), chance.randrange(0, height - side)
        masked = chance.random() < 0.5
        for y in range(side):
            color = bytes((60, 90, 200) if masked and y > side // 2 else (225, 170, 140))
            start = ((top + y) * width + left) * 3
            pixels[start : start + 3 * side] = color * side
        edges = "".join(f"<{name}>{value}</{name}>" for name, value in zip(("xmin", "ymin", "xmax", "ymax"), (left, top, left + side, top + side)))
        objects += f"<object><name>{'with_mask' if masked else 'without_mask'}</name><bndbox>{edges}</bndbox></object>"
    return png(width, height, bytes(pixels)), f"<annotation><filename>{seed}.png</filename>{objects}</annotation>"


def write_pictures(folder, count):
    """NUMBER.png and NUMBER.xml for each number below `count`."""
    os.mkdir(folder)
    for seed in range(count):
        picture, annotation = drawn(seed)
        with open(os.path.join(folder, f"{seed}.png"), "wb") as file:
            file.write(picture)
        with open(os.path.join(folder, f"{seed}.xml"), "w") as file:
            file.write(annotation)
