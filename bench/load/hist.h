/*
 * hist.h: a histogram of latencies: 32 steps per doubling, so that a quantile
 * is right within 3%.
 */
#ifndef BENCH_HIST_H
#define BENCH_HIST_H

#include <stdint.h>

enum { HIST_STEPS = 32, HIST_SIZE = 60 * HIST_STEPS };

struct hist {
    uint64_t n;
    uint64_t counts[HIST_SIZE];
};

void hist_add(struct hist *hist, uint64_t ns);
/* The value that a share of q (0 to 1) does not exceed; 0 if there is none. */
uint64_t hist_quantile(const struct hist *hist, double q);

#endif
