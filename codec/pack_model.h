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

extern const struct pack_model_size pack_size;
extern const uint8_t pack_text[];     /* the bytes of all pieces */
extern const uint16_t pack_at[];      /* where each begins; one more */
extern const uint16_t pack_shorter[]; /* 1 + the longest piece that begins it,
                                         0: none */
extern const uint16_t pack_by_byte[]; /* the piece that is this byte */
extern const uint8_t pack_class[];    /* of each piece */
extern const uint16_t pack_start[];   /* shares before it in its class */
extern const uint16_t pack_last[];    /* its share, less 1 */
extern const uint8_t pack_cost[];     /* within its class */
extern const uint16_t pack_members[]; /* pieces class by class */
extern const uint16_t pack_first[];   /* where each class begins; one more */
/* To find things fast. Where pieces of two bytes begin, or would: the first and
 * the second from 0x20 to 0x7f, one more for each first. */
extern const uint16_t pack_by_two[];
extern const uint32_t pack_key[]; /* the third to the sixth byte as a number,
                                     0 where there is none */
extern const uint16_t pack_member_start[]; /* pack_start by pack_members */
/* For each PACK_SLOTS-th of all shares the last that begins before it, of the
 * members of each class and of the classes after each; one more. */
enum { PACK_SLOTS = 64 };
extern const uint16_t pack_member_near[];
extern const uint8_t pack_class_near[];

extern const uint16_t pack_class_start[]; /* [after][class]: shares before */
extern const uint8_t pack_class_cost[];   /* [after][class] */

#endif
