/*
 * inspect.c: `terse inspect`: a frame as a tree.
 */
#include "cli.h"

static int run(const struct cli_args *args) {
    struct terse_schema *schema = NULL;
    struct terse_buf in, out;
    terse_buf_init(&in, CLI_INPUT_MAX);
    terse_buf_init(&out, SIZE_MAX / 2);
    int code = cli_read_stdin(args->command, &in);
    if (code == CLI_OK && terse_schema_new(&schema) != TERSE_OK)
        code = cli_complain(args->command, "out of memory");
    if (code == CLI_OK) {
        enum terse_err err =
            terse_inspect(schema, terse_buf_data(&in), in.len, &out);
        code = cli_write_stdout(args->command, terse_buf_data(&out), out.len);
        if (err != TERSE_OK) {
            cli_complain(args->command,
                         "the frame is damaged after what is printed (%s)",
                         terse_err_condition(err));
            code = CLI_FAILED;
        }
    }
    terse_schema_free(schema);
    terse_buf_fini(&in);
    terse_buf_fini(&out);
    return code;
}

const struct cli_command cli_inspect = {
    .name = "inspect",
    .synopsis = "<FRAME",
    .summary = "show a frame as a tree",
    .description =
        "Reads one frame, the bare Protobuf message without any framing "
        "around it, from standard input and prints it as a tree, one field "
        "per line in the order of the frame: the field's name, the XML item "
        "that it stands for, its value and the bytes that it takes.\n"
        "\n"
        "Of a frame that is damaged it prints what comes before the damage.",
    .exits = "0  the whole frame was printed\n"
             "1  the input is damaged, or no frame\n"
             "2  wrong arguments, or an I/O error",
    .examples = "echo \"<presence/>\" | terse encode | terse inspect",
    .run = run,
};
