/*
 * cut.c: the inner loop of train.py: cuts texts into pieces, the cheapest way.
 * Compiled by train.py, no part of Terse.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum { BEST = 4 };

struct node {
    int32_t child[256];
    int32_t piece; /* -1: none ends here */
};

static struct node *nodes;
static int32_t n_nodes, cap_nodes;

static int32_t node_new(void) {
    if (n_nodes == cap_nodes) {
        cap_nodes = cap_nodes ? cap_nodes * 2 : 1024;
        nodes = realloc(nodes, (size_t)cap_nodes * sizeof(*nodes));
        if (!nodes)
            abort();
    }
    memset(&nodes[n_nodes], 0, sizeof(*nodes));
    nodes[n_nodes].piece = -1;
    return n_nodes++;
}

/* pieces: piece i is blob[at[i] .. at[i + 1]); an empty one is left out. */
void cut_pieces(const uint8_t *blob, const int64_t *at, int32_t n) {
    n_nodes = 0;
    node_new();
    for (int32_t i = 0; i < n; i++) {
        int32_t node = 0;
        if (at[i] == at[i + 1])
            continue;
        for (int64_t j = at[i]; j < at[i + 1]; j++) {
            if (!nodes[node].child[blob[j]]) {
                int32_t child = node_new();
                nodes[node].child[blob[j]] = child;
            }
            node = nodes[node].child[blob[j]];
        }
        nodes[node].piece = i;
    }
}

struct state {
    float cost;
    int32_t piece; /* that ends here */
    int32_t from;  /* position */
    int32_t slot;  /* state there */
};

/* Cuts text t[0 .. n) and writes the pieces to out; their number. Of piece i,
 * class[i] is its class and cost[i] its cost in it; trans[c * classes + d] is
 * the cost of class d after class c. skip: a piece not to be used, or -1. */
static int64_t cut(const uint8_t *t, int64_t n, const int32_t *class,
                   const float *cost, const float *trans, int32_t classes,
                   int32_t skip, int32_t *out, float *total) {
    struct state(*s)[BEST] = malloc((size_t)(n + 1) * sizeof(*s));
    int64_t count = 0;
    for (int64_t i = 0; i <= n; i++)
        for (int k = 0; k < BEST; k++)
            s[i][k] = (struct state){1e30f, -1, 0, 0};
    s[0][0] = (struct state){0, -1, 0, 0};
    for (int64_t i = 0; i < n; i++) {
        int32_t node = 0;
        for (int64_t j = i; j < n; j++) {
            node = nodes[node].child[t[j]];
            if (!node)
                break;
            int32_t p = nodes[node].piece;
            if (p < 0 || p == skip)
                continue;
            struct state new = {1e30f, p, (int32_t)i, 0};
            for (int k = 0; k < BEST && s[i][k].cost < 1e29f; k++) {
                int32_t c = s[i][k].piece < 0 ? 0 : class[s[i][k].piece];
                float x = s[i][k].cost + trans[c * classes + class[p]];
                if (x < new.cost) {
                    new.cost = x;
                    new.slot = k;
                }
            }
            if (new.cost > 1e29f)
                continue;
            new.cost += cost[p];
            struct state *to = s[j + 1];
            int k;
            for (k = 0; k < BEST - 1; k++)
                if (to[k].piece >= 0 && class[to[k].piece] == class[p])
                    break;
            if (to[k].cost <= new.cost)
                continue;
            for (; k > 0 && to[k - 1].cost > new.cost; k--)
                to[k] = to[k - 1];
            to[k] = new;
        }
    }
    int best = 0;
    float least = 1e30f;
    for (int k = 0; k < BEST && s[n][k].cost < 1e29f; k++) {
        int32_t c = s[n][k].piece < 0 ? 0 : class[s[n][k].piece];
        if (s[n][k].cost + trans[c * classes] < least) {
            least = s[n][k].cost + trans[c * classes];
            best = k;
        }
    }
    *total = least;
    for (int64_t i = n; i > 0;) {
        struct state x = s[i][best];
        out[count++] = x.piece;
        i = x.from;
        best = x.slot;
    }
    for (int64_t i = 0; i < count / 2; i++) {
        int32_t x = out[i];
        out[i] = out[count - 1 - i];
        out[count - 1 - i] = x;
    }
    free(s);
    return count;
}

/* All texts; after each one, `end` is written. Returns how many pieces. costs,
 * if not NULL, gets that of each text. skips: likewise, a piece not to use. */
int64_t cut_all(const uint8_t *blob, const int64_t *at, int32_t texts,
                const int32_t *class, const float *cost, const float *trans,
                int32_t classes, const int32_t *skips, int32_t end,
                int32_t *out, float *costs) {
    int64_t count = 0;
    for (int32_t i = 0; i < texts; i++) {
        float total;
        count += cut(blob + at[i], at[i + 1] - at[i], class, cost, trans,
                     classes, skips ? skips[i] : -1, out + count, &total);
        if (costs)
            costs[i] = total;
        if (end >= 0)
            out[count++] = end;
    }
    return count;
}
