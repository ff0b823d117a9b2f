/*
 * encode.c: `terse encode`: one XML element to one frame.
 */
#include "cli.h"
#include "pbtext.h"
#include "trip.h"

#include <string.h>
#include <terse.pb-c.h>

/* What trip_run has told so far. */
struct encoded {
    struct terse_buf frame;
    enum terse_err err;
    struct trip_item failed; /* where err is not TERSE_OK */
    unsigned n;
};

static void on_item(void *arg, const struct trip_item *item) {
    struct encoded *out = arg;
    if (out->err != TERSE_OK)
        return; /* the first error counts */
    if (item->verdict != TRIP_SAME) {
        out->err = item->err != TERSE_OK ? item->err : TERSE_EXML;
        out->failed = *item;
        return;
    }
    if (out->n++ == 0)
        out->err = terse_buf_append(&out->frame, item->frame.p, item->frame.n);
}

static int print(const struct cli_args *args, const struct encoded *encoded) {
    const uint8_t *p = terse_buf_data(&encoded->frame);
    struct terse_buf text;
    if (!cli_value(args, "text"))
        return cli_write_stdout(args->command, p, encoded->frame.len);
    terse_buf_init(&text, SIZE_MAX / 2);
    enum terse_err err =
        pbtext_print(&terse__frame__descriptor, p, encoded->frame.len, &text);
    int code = cli_write_stdout(args->command, terse_buf_data(&text), text.len);
    if (err != TERSE_OK) {
        cli_complain(args->command, "%s", terse_err_condition(err));
        code = CLI_FAILED;
    }
    terse_buf_fini(&text);
    return code;
}

static int encode(const struct cli_args *args, struct trip *trip,
                  struct terse_str xml) {
    struct encoded encoded = {.err = TERSE_OK};
    struct terse_str header = {trip_header, strlen(trip_header)};
    int code = CLI_FAILED;
    terse_buf_init(&encoded.frame, terse_limits_default.frame_bytes);
    trip->one_way = true;
    enum terse_err err = trip_run(trip, header, xml, on_item, &encoded);
    if (err != TERSE_OK)
        cli_complain(args->command, "out of memory");
    else if (encoded.err != TERSE_OK)
        cli_report(args->command, encoded.err, &encoded.failed.error);
    else if (encoded.n != 1)
        cli_complain(args->command, "%s element on standard input",
                     encoded.n ? "more than one" : "no");
    else
        code = print(args, &encoded);
    terse_buf_fini(&encoded.frame);
    return code;
}

static int run(const struct cli_args *args) {
    struct terse_buf in;
    struct trip trip;
    terse_buf_init(&in, CLI_INPUT_MAX);
    int code = cli_read_stdin(args->command, &in);
    if (code == CLI_OK && trip_init(&trip) != TERSE_OK) {
        code = cli_complain(args->command, "out of memory");
    } else if (code == CLI_OK) {
        struct terse_str xml = {(const char *)terse_buf_data(&in), in.len};
        code = encode(args, &trip, xml);
        trip_fini(&trip);
    }
    terse_buf_fini(&in);
    return code;
}

static const struct cli_option options[] = {
    {"text", NULL,
     "Print the frame as Protobuf text instead of bytes, in the "
     "form that protoc --encode=terse.Frame reads."},
    {NULL, NULL, NULL},
};

const struct cli_command cli_encode = {
    .name = "encode",
    .synopsis = "[--text] <XML >FRAME",
    .summary = "translate one XML element to a frame",
    .description =
        "Reads one XML element from standard input and writes its frame, the "
        "bare Protobuf message without any framing around it, to standard "
        "output.\n"
        "\n"
        "The element stands in a stream whose default namespace is "
        "jabber:client and which declares the prefix stream; what else it "
        "uses it must declare. A stream header alone becomes an Open frame, "
        "</stream:stream> alone a Close frame.\n"
        "\n"
        "What RFC 6120 section 11.1 forbids (comments, processing "
        "instructions, document types, entities other than XML's own five) is "
        "refused with the condition restricted-xml. An error names its place "
        "in the element and the byte offset; standard output is then empty.",
    .options = options,
    .exits = "0  the frame was written\n"
             "1  the input is not one element that has a frame\n"
             "2  wrong arguments, or an I/O error",
    .examples = "echo \"<presence/>\" | terse encode | od -An -tx1\n"
                "echo \"<presence><show>away</show></presence>\" | "
                "terse encode --text",
    .run = run,
};
