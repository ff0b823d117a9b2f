/* tap.c: see tap.h. */
#include "tap.h"

#include <string.h>

bool tap_frame(FILE *out, const void *p, size_t n) {
    size_t left = n;
    for (; left >= 0x80; left >>= 7)
        fputc((int)(left & 0x7f) | 0x80, out);
    fputc((int)left, out);
    return fwrite(p, 1, n, out) == n;
}

void tap_init(struct tap *tap, const char *dir, const char *name) {
    const char *slash = strrchr(name, '/');
    *tap = (struct tap){.dir = dir, .name = slash ? slash + 1 : name};
}

static FILE *open_file(const struct tap *tap, const char *what) {
    char path[4096];
    snprintf(path, sizeof(path), "%s/%s.%u.%s", tap->dir, tap->name, tap->conn,
             what);
    return fopen(path, "wb");
}

static bool open_all(struct tap *tap) {
    tap->conn++;
    tap->open = true;
    tap->wire = open_file(tap, "wire");
    tap->frames = open_file(tap, "frames");
    return tap->wire && tap->frames;
}

static bool write_one(FILE *out, int dir, struct terse_str frame) {
    return fputc(dir == 0 ? 'c' : 's', out) != EOF &&
           tap_frame(out, frame.p, frame.n);
}

bool tap_write(struct tap *tap, int dir, struct terse_str frame,
               struct terse_str wire) {
    if (!tap->dir)
        return true;
    if (!tap->open && !open_all(tap))
        return false;
    return write_one(tap->wire, dir, wire) &&
           write_one(tap->frames, dir, frame);
}

bool tap_end(struct tap *tap) {
    bool ok = (!tap->wire || fclose(tap->wire) == 0);
    ok = (!tap->frames || fclose(tap->frames) == 0) && ok;
    tap->wire = tap->frames = NULL;
    tap->open = false;
    return ok;
}
