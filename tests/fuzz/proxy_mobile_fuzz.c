/* Fuzzes what phones and servers say of sessions: see mobile_input.h. */
#include "tests/unit/mobile_input.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n) {
    mobile_input(p, n);
    return 0;
}
