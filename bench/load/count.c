/* count.c: see count.h. */
#include "bench/load/count.h"

#include <string.h>

#define END "</message>"
enum { END_SIZE = sizeof(END) - 1 };

static unsigned count_frames(struct count *count, const uint8_t *p, size_t n) {
    unsigned found = 0;

    while (n > 0) {
        uint8_t byte = *p;

        if (count->left) {
            size_t part = count->left < n ? (size_t)count->left : n;

            p += part;
            n -= part;
            count->left -= part;
            found += count->left == 0;
            continue;
        }
        p++;
        n--;
        count->length |= (uint64_t)(byte & 0x7f) << count->shift;
        count->shift = (uint8_t)(count->shift + 7);
        if (byte & 0x80)
            continue;
        count->left = count->length;
        count->length = count->shift = 0;
    }
    return found;
}

unsigned count_feed(struct count *count, uint8_t *p, size_t n) {
    const uint8_t *end = p + n, *hit;
    unsigned found = 0;

    if (count->frames)
        return count_frames(count, p, n);
    p -= count->kept;
    memcpy(p, count->tail, count->kept);
    while ((hit = memmem(p, (size_t)(end - p), END, END_SIZE))) {
        found++;
        p = (uint8_t *)(uintptr_t)hit + END_SIZE;
    }
    n = (size_t)(end - p);
    if (n > END_SIZE - 1) {
        p += n - (END_SIZE - 1);
        n = END_SIZE - 1;
    }
    count->kept = (uint8_t)n;
    memcpy(count->tail, p, n);
    return found;
}
