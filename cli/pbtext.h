/*
 * pbtext.h: a frame as Protobuf text, written as `protoc --decode` writes it
 * but in the order of the wire, which is that of the XML.
 */
#ifndef CLI_PBTEXT_H
#define CLI_PBTEXT_H

#include "codec/terse.h"

#include <protobuf-c/protobuf-c.h>

/* Appends message `type` of n bytes to out. TERSE_EFRAME where the bytes are no
 * such message, with what came before in out. A field that the type does not
 * have is printed by its number, as protoc does. */
TERSE_NODISCARD enum terse_err
pbtext_print(const ProtobufCMessageDescriptor *type, const void *p, size_t n,
             struct terse_buf *out);

#endif
