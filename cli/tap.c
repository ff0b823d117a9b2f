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

static FILE *open_file(const struct tap *tap, int dir, const char *what) {
    static const char *const dirs[] = {"c2s", "s2c"};
    char path[4096];
    snprintf(path, sizeof(path), "%s/%s.%u.%s.%s", tap->dir, tap->name,
             tap->conn, dirs[dir], what);
    return fopen(path, "wb");
}

static bool open_all(struct tap *tap) {
    tap->conn++;
    tap->open = true;
    for (int d = 0; d < 2; d++) {
        tap->wire[d] = open_file(tap, d, "wire");
        tap->frames[d] = open_file(tap, d, "frames");
        if (!tap->wire[d] || !tap->frames[d])
            return false;
    }
    return true;
}

bool tap_write(struct tap *tap, int dir, struct terse_str frame,
               struct terse_str wire) {
    if (!tap->dir)
        return true;
    if (!tap->open && !open_all(tap))
        return false;
    return tap_frame(tap->wire[dir], wire.p, wire.n) &&
           tap_frame(tap->frames[dir], frame.p, frame.n);
}

bool tap_end(struct tap *tap) {
    bool ok = true;
    for (int d = 0; d < 2; d++) {
        ok = (!tap->wire[d] || fclose(tap->wire[d]) == 0) && ok;
        ok = (!tap->frames[d] || fclose(tap->frames[d]) == 0) && ok;
        tap->wire[d] = tap->frames[d] = NULL;
    }
    tap->open = false;
    return ok;
}
