/*
 * plot.c: see plot.h. Colours and grey text that can be read on white and on
 * black, since a picture in a page does not know which is behind it.
 */
#include "plot.h"

#include <stdlib.h>
#include <string.h>

enum {
    WIDTH = 860,
    NAMES = 168,  /* where names end, on the right */
    LEFT = 178,   /* where bars begin */
    SCALE = 420,  /* pixels of the XML */
    COLUMN = 640, /* where the first column of numbers ends */
    STEP = 62,    /* from one column to the next */
    TOP = 44,     /* above the first group */
    BAR = 4,
    GROUP = 28,
    NAME_MAX_BYTES = 96,
};

static const struct {
    const char *label, *colour;
} bars[PLOT_BARS] = {
    [PLOT_XML] = {"XML", "#8b949e"},
    [PLOT_STATELESS] = {"alone", "#54aeff"},
    [PLOT_FRAMES] = {"frames", "#1f6feb"},
    [PLOT_ZLIB9] = {"zlib -9", "#d4762c"},
    [PLOT_XZ] = {"xz -9e", "#a371f7"},
};

struct group {
    char name[NAME_MAX_BYTES];
    uint64_t bytes[PLOT_BARS];
};

struct plot {
    struct group *groups;
    size_t n;
};

struct plot *plot_new(void) {
    return calloc(1, sizeof(struct plot));
}

void plot_free(struct plot *plot) {
    if (plot)
        free(plot->groups);
    free(plot);
}

bool plot_add(struct plot *plot, const char *name,
              const uint64_t bytes[PLOT_BARS]) {
    struct group *more =
        realloc(plot->groups, (plot->n + 1) * sizeof(*plot->groups));
    if (!more)
        return false;
    plot->groups = more;
    struct group *g = &more[plot->n++];
    const char *slash = strrchr(name, '/');
    snprintf(g->name, sizeof(g->name), "%s", slash ? slash + 1 : name);
    char *dot = strrchr(g->name, '.');
    if (dot && dot != g->name)
        *dot = '\0';
    memcpy(g->bytes, bytes, sizeof(g->bytes));
    return true;
}

/* Text that may be anything: what is no printable ASCII becomes '?'. */
static void put_text(FILE *out, const char *s) {
    for (; *s; s++) {
        if (*s == '&')
            fputs("&amp;", out);
        else if (*s == '<')
            fputs("&lt;", out);
        else if (*s == '>')
            fputs("&gt;", out);
        else
            putc(*s >= 0x20 && *s < 0x7f ? *s : '?', out);
    }
}

static double share(const struct group *g, int bar) {
    return g->bytes[PLOT_XML] > 0
               ? (double)g->bytes[bar] / (double)g->bytes[PLOT_XML]
               : 0;
}

/* Names the columns of numbers, in the colours of their bars. */
static void put_head(FILE *out) {
    fprintf(out,
            "<rect x='%d' y='14' width='10' height='10' fill='%s'/>\n"
            "<text x='%d' y='23'>%s = 1</text>\n",
            LEFT, bars[PLOT_XML].colour, LEFT + 16, bars[PLOT_XML].label);
    for (int b = PLOT_STATELESS; b < PLOT_BARS; b++) {
        int end = COLUMN + (b - PLOT_STATELESS) * STEP;
        fprintf(out,
                "<rect x='%d' y='4' width='40' height='8' fill='%s'/>\n"
                "<text class='n' x='%d' y='27'>%s</text>\n",
                end - 40, bars[b].colour, end, bars[b].label);
    }
}

static void put_group(FILE *out, const struct group *g, size_t row) {
    int y = TOP + (int)row * GROUP;
    fprintf(out, "<text class='n' x='%d' y='%d'>", NAMES, y + 15);
    put_text(out, g->name);
    fputs("</text>\n", out);
    for (int b = 0; b < PLOT_BARS; b++) {
        fprintf(out,
                "<rect class='bar' x='%d' y='%d' width='%.1f' height='%d' "
                "fill='%s'><title>",
                LEFT, y + b * BAR, share(g, b) * SCALE, BAR, bars[b].colour);
        put_text(out, g->name);
        fprintf(out, ", %s: %llu bytes</title></rect>\n", bars[b].label,
                (unsigned long long)g->bytes[b]);
        if (b > PLOT_XML)
            fprintf(out, "<text class='n%s' x='%d' y='%d'>%.2f</text>\n",
                    b == PLOT_FRAMES ? " f" : "",
                    COLUMN + (b - PLOT_STATELESS) * STEP, y + 15, share(g, b));
    }
}

bool plot_write(const struct plot *plot, FILE *out) {
    int height = TOP + (int)plot->n * GROUP;
    fprintf(out,
            "<svg xmlns='http://www.w3.org/2000/svg' width='%d' height='%d' "
            "viewBox='0 0 %d %d' role='img'>\n"
            "<title>Bytes of recorded sessions, as shares of their XML"
            "</title>\n"
            "<style>text { font: 12px sans-serif; fill: #7a828c; }\n"
            ".n { text-anchor: end; } .f { font-weight: bold; }</style>\n",
            WIDTH, height, WIDTH, height);
    put_head(out);
    for (size_t i = 0; i < plot->n; i++)
        put_group(out, &plot->groups[i], i);
    fputs("</svg>\n", out);
    return fflush(out) == 0 && !ferror(out);
}
