/*
 * decode.c: `terse decode`: one frame to XML.
 */
#include "cli.h"

static enum terse_err decode(const struct terse_schema *schema,
                             const struct terse_buf *in, struct terse_buf *out,
                             struct terse_error *error) {
    struct terse_frame_info info;
    const uint8_t *p = terse_buf_data(in);
    enum terse_place place = TERSE_STANDALONE;
    /* A header or a footer cannot stand on its own; an error here is told
     * better by the decoder, which finds it again. */
    if (terse_frame_info(schema, p, in->len, &info) == TERSE_OK &&
        info.kind != TERSE_ELEMENT)
        place = TERSE_IN_STREAM;
    enum terse_err err = terse_decode(schema, &terse_limits_default, p, in->len,
                                      place, out, error);
    return err == TERSE_OK ? terse_buf_append(out, "\n", 1) : err;
}

static int run(const struct cli_args *args) {
    struct terse_schema *schema = NULL;
    struct terse_error error = {.code = TERSE_OK};
    struct terse_buf in, out;
    terse_buf_init(&in, CLI_INPUT_MAX);
    terse_buf_init(&out, terse_limits_default.stanza_bytes + 1);
    int code = cli_read_stdin(args->command, &in);
    if (code == CLI_OK && terse_schema_new(&schema) != TERSE_OK)
        code = cli_complain(args->command, "out of memory");
    if (code == CLI_OK) {
        enum terse_err err = decode(schema, &in, &out, &error);
        if (err != TERSE_OK) {
            cli_report(args->command, err, &error);
            code = CLI_FAILED;
        } else {
            code =
                cli_write_stdout(args->command, terse_buf_data(&out), out.len);
        }
    }
    terse_schema_free(schema);
    terse_buf_fini(&in);
    terse_buf_fini(&out);
    return code;
}

const struct cli_command cli_decode = {
    .name = "decode",
    .synopsis = "<FRAME >XML",
    .summary = "translate a frame to XML",
    .description =
        "Reads one frame, the bare Protobuf message without any framing "
        "around it, from standard input and writes its XML and a line feed to "
        "standard output. The XML of an element declares every namespace that "
        "it uses. An Open frame gives a stream header, a Close frame the "
        "footer.\n"
        "\n"
        "An error names its place in the element and the byte offset in the "
        "frame; standard output is then empty.",
    .exits = "0  the XML was written\n"
             "1  the input is no frame, or stands for no XML\n"
             "2  wrong arguments, or an I/O error",
    .examples = "echo \"<presence/>\" | terse encode | terse decode",
    .run = run,
};
