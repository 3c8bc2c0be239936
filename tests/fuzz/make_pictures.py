# SPDX-License-Identifier: MIT
"""JPEG and WebP files of corpus/picture, made with Pillow 13.0.0 (libjpeg-turbo, libwebp).

usage: make_pictures.py FOLDER
"""
import struct
import sys

from PIL import Image

folder = sys.argv[1]
TEXT = "gr\u00fcn \U0001f34e\nSteps: 20, Sampler: Euler, Seed: 1"


def exif(orientation=None, text=None):
    e = Image.Exif()
    if orientation:
        e[0x0112] = orientation
    if text:
        e.get_ifd(0x8769)[0x9286] = b"UNICODE\0" + text.encode("utf_16_be")
    return e.tobytes()


def picture(mode="RGB", w=24, h=16):
    """Red on the left, blue on the right, the upper half darker."""
    p = Image.new("RGB", (w, h))
    for y in range(h):
        for x in range(w):
            v = 120 if y < h // 2 else 240
            p.putpixel((x, y), (v, 0, 0) if x < w // 2 else (0, 0, v))
    return p.convert(mode)


def save(name, p, format, **options):
    p.save(f"{folder}/{name}", format, **options)


save("jpeg_rgb", picture(), "JPEG", quality=95, exif=exif(text=TEXT))
save("jpeg_grey", picture("L"), "JPEG")
save("jpeg_cmyk", picture("CMYK"), "JPEG", quality=95)
save("jpeg_progressive", picture(), "JPEG", progressive=True)
for o in range(2, 9):
    save(f"jpeg_turned{o}", picture(), "JPEG", quality=95, exif=exif(o))
save("webp_lossy", picture(), "WEBP", quality=90, exif=exif(6, TEXT))
save("webp_lossless", picture(), "WEBP", lossless=True)
p = picture("RGBA")
p.putalpha(128)
save("webp_alpha", p, "WEBP", lossless=True)
save("webp_two", picture(), "WEBP", save_all=True, append_images=[picture("L").convert("RGB")])

# Hostile ones.
good = open(f"{folder}/jpeg_progressive", "rb").read()
scan = good.rindex(b"\xff\xda")
end = good.rindex(b"\xff\xd9")
open(f"{folder}/jpeg_scans", "wb").write(good[:end] + good[scan:end] * 300 + good[end:])
rgb = bytearray(open(f"{folder}/jpeg_rgb", "rb").read())
at = rgb.index(b"\xff\xc0")
rgb[at + 5:at + 9] = struct.pack(">HH", 65000, 65000)
open(f"{folder}/jpeg_huge_sides", "wb").write(rgb)
open(f"{folder}/jpeg_start", "wb").write(b"\xff\xd8\xff")
odd = bytearray(open(f"{folder}/jpeg_turned3", "rb").read())
at = odd.index(b"Exif\0\0") + 6
odd[at + 4:at + 8] = b"\xff\xff\xff\xf0" if odd[at:at + 2] == b"MM" else b"\xf0\xff\xff\xff"
open(f"{folder}/jpeg_far_exif", "wb").write(odd)
w = bytearray(open(f"{folder}/webp_lossy", "rb").read())
w[4:8] = struct.pack("<I", 0xfffffff0)
open(f"{folder}/webp_huge", "wb").write(w)
open(f"{folder}/webp_start", "wb").write(b"RIFF\x10\0\0\0WEBPVP8X")
