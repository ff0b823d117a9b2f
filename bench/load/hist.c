/* hist.c: see hist.h. */
#include "bench/load/hist.h"

enum { SHIFT = 5 }; /* 2^SHIFT is HIST_STEPS */

static unsigned place(uint64_t ns) {
    unsigned top;

    if (ns < HIST_STEPS)
        return (unsigned)ns;
    top = 63 - (unsigned)__builtin_clzll(ns);
    return (top - SHIFT + 1) * HIST_STEPS +
           (unsigned)((ns >> (top - SHIFT)) & (HIST_STEPS - 1));
}

/* The middle of what is counted at a place. */
static uint64_t value(unsigned at) {
    unsigned shift;

    if (at < HIST_STEPS)
        return at;
    shift = at / HIST_STEPS - 1;
    return ((uint64_t)(HIST_STEPS + at % HIST_STEPS) << shift) +
           (((uint64_t)1 << shift) >> 1);
}

void hist_add(struct hist *hist, uint64_t ns) {
    hist->n++;
    hist->counts[place(ns)]++;
}

uint64_t hist_quantile(const struct hist *hist, double q) {
    double want = q * (double)hist->n;
    uint64_t seen = 0;

    for (unsigned i = 0; i < HIST_SIZE; i++) {
        seen += hist->counts[i];
        if (seen && (double)seen >= want)
            return value(i);
    }
    return 0;
}
