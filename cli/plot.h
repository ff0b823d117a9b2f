/*
 * plot.h: draws what recorded sessions take as a picture, SVG: for each a group
 * of bars, and beside them what share of the XML they are.
 */
#ifndef CLI_PLOT_H
#define CLI_PLOT_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

/* The bars of a group, from above; plot.c says how each looks. */
enum plot_bar {
    PLOT_XML,
    PLOT_STATELESS,
    PLOT_FRAMES,
    PLOT_ZLIB9,
    PLOT_XZ,
    PLOT_BARS
};

struct plot;

/* NULL where there is no memory. */
struct plot *plot_new(void);
void plot_free(struct plot *plot); /* NULL is fine */

/* Adds a group at the bottom: the bytes of each bar. name: of the file, shown
 * without folders and ending. False where there is no memory. */
bool plot_add(struct plot *plot, const char *name,
              const uint64_t bytes[PLOT_BARS]);

/* Writes the picture; false, with errno, if it cannot. */
bool plot_write(const struct plot *plot, FILE *out);

#endif
