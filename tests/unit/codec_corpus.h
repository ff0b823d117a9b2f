/* codec_corpus.h: the recorded sessions as streams. */
#ifndef CODEC_CORPUS_H
#define CODEC_CORPUS_H

#include "codec/terse.h"

/* CODEC_HEADER and then the elements of the recorded sessions in
 * tests/corpus, up to `max` bytes of whole elements. The caller frees it by
 * terse_buf_fini. *elements: how many there are. Empty if there is no corpus.
 */
void codec_corpus(struct terse_buf *out, size_t max, unsigned *elements);

#endif
