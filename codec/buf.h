/* buf.h: inside of terse_buf. */
#ifndef TERSE_BUF_H
#define TERSE_BUF_H

#include "terse.h"

/* Makes room for n more bytes behind the content. TERSE_ENOMEM, or
 * TERSE_ELIMIT over max; the content is unchanged then. */
TERSE_NODISCARD enum terse_err buf_room(struct terse_buf *buf, size_t n);

/* The same in front of the content: off >= n afterwards. */
TERSE_NODISCARD enum terse_err buf_room_front(struct terse_buf *buf, size_t n);

/* Empties it and makes it ready to be filled from its end. */
void buf_to_end(struct terse_buf *buf);

#endif
