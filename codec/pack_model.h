/*
 * pack_model.h: the model for short text, made from schemas/text.model by
 * scripts/text/table.py. docs/text.md explains what it means.
 *
 * Pieces are numbered by the order of their bytes. Shares are of 1/65536;
 * costs are in 1/16 bit.
 */
#ifndef TERSE_PACK_MODEL_H
#define TERSE_PACK_MODEL_H

#include <stdint.h>

struct pack_model_size {
    uint16_t classes, pieces;
};

/* What begins a piece. The first byte is the number of its node; byte b leads
 * from node n to n.base + b, if the check of that is n. */
struct pack_node {
    uint16_t base, check;
    uint16_t piece;      /* 1 + the piece that ends here, 0: none; */
    uint8_t class, cost; /* its own, the cost within the class */
};

extern const struct pack_model_size pack_size;
extern const struct pack_node pack_trie[];
extern const uint8_t pack_text[];     /* the bytes of all pieces */
extern const uint16_t pack_at[];      /* where each begins; one more */
extern const uint16_t pack_start[];   /* shares before it in its class */
extern const uint16_t pack_last[];    /* its share, less 1 */
extern const uint16_t pack_members[]; /* pieces class by class */
/* To find things fast. */
extern const uint16_t pack_member_start[]; /* pack_start by pack_members */
/* For each PACK_SLOTS-th of all shares the last that begins before it, of the
 * members of each class and of the classes after each; one more. */
enum { PACK_SLOTS = 64 };
extern const uint16_t pack_member_near[];
extern const uint8_t pack_class_near[];

extern const uint16_t pack_class_start[]; /* [after][class]: shares before */
extern const uint8_t pack_class_cost[];   /* [after][class] */

#endif
