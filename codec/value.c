/* value.c: see value.h. */
#include "value.h"

#include <string.h>

#include "wire.h"

/* ---- numbers ------------------------------------------------------------ */

static bool decimal(struct terse_str s, uint64_t max, uint64_t *out) {
    if (s.n == 0 || s.n > 20 || (s.p[0] == '0' && s.n > 1))
        return false;
    uint64_t v = 0;
    for (size_t i = 0; i < s.n; i++) {
        unsigned digit = (unsigned char)s.p[i] - (unsigned)'0';
        if (digit > 9 || v > (max - digit) / 10)
            return false;
        v = v * 10 + digit;
    }
    *out = v;
    return true;
}

static bool signed_decimal(struct terse_str s, uint64_t max, uint64_t *out) {
    uint64_t v;
    bool minus = s.n > 0 && s.p[0] == '-';
    if (minus)
        s = (struct terse_str){s.p + 1, s.n - 1};
    if (!decimal(s, max, &v) || (minus && v == 0))
        return false;
    *out = wire_zigzag(minus ? -(int64_t)v : (int64_t)v);
    return true;
}

static size_t print_decimal(uint64_t v, char *out) {
    char digits[20];
    size_t n = 0;
    do
        digits[n++] = (char)('0' + v % 10);
    while ((v /= 10) > 0);
    for (size_t i = 0; i < n; i++)
        out[i] = digits[n - 1 - i];
    return n;
}

/* ---- dates: XEP-0082 section 3.2 ------------------------------------------
 */

enum { DAYS_TO_2020 = 737730, DAY = 86400 }; /* days from 0000-03-01 */

/* More than the microseconds of 10,000 years; keeps the sums below in range. */
static const int64_t MICRO_MAX = INT64_C(1) << 60;

/* Days from 0000-03-01 to a date of the Gregorian calendar. A year that starts
 * in March puts the leap day last, which makes months regular. */
static int64_t days_of(int64_t year, int64_t month, int64_t day) {
    year -= month <= 2;
    int64_t era = (year >= 0 ? year : year - 399) / 400;
    int64_t y = year - era * 400;
    int64_t d = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
    return era * 146097 + y * 365 + y / 4 - y / 100 + d;
}

static void date_of(int64_t days, int64_t *year, int64_t *month, int64_t *day) {
    int64_t era = (days >= 0 ? days : days - 146096) / 146097;
    int64_t doe = days - era * 146097;
    int64_t y = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
    int64_t doy = doe - (365 * y + y / 4 - y / 100);
    int64_t m = (5 * doy + 2) / 153;
    *day = doy - (153 * m + 2) / 5 + 1;
    *month = m < 10 ? m + 3 : m - 9;
    *year = y + era * 400 + (*month <= 2);
}

/* Digits behind the seconds' point, and units in a second. */
static size_t fraction_of(uint8_t form, int64_t *unit) {
    *unit = form == FORM_DATETIME_MICRO   ? 1000000
            : form == FORM_DATETIME_MILLI ? 1000
                                          : 1;
    return form == FORM_DATETIME_MICRO   ? 6
           : form == FORM_DATETIME_MILLI ? 3
                                         : 0;
}

/* The number of the n digits at s[at]; -1 if they are none. */
static int64_t digits(struct terse_str s, size_t at, size_t n) {
    int64_t v = 0;
    for (size_t i = at; i < at + n; i++) {
        if (s.p[i] < '0' || s.p[i] > '9')
            return -1;
        v = v * 10 + (s.p[i] - '0');
    }
    return v;
}

static bool datetime(uint8_t form, struct terse_str s, uint64_t *out) {
    static const char shape[] = "dddd-dd-ddTdd:dd:dd";
    int64_t unit;
    size_t frac = fraction_of(form, &unit);
    if (s.n != 19 + (frac ? frac + 1 : 0) + 1 || s.p[s.n - 1] != 'Z')
        return false;
    for (size_t i = 0; i < 19; i++)
        if (shape[i] != 'd' && s.p[i] != shape[i])
            return false;
    if (frac && s.p[19] != '.')
        return false;
    int64_t year = digits(s, 0, 4), month = digits(s, 5, 2);
    int64_t day = digits(s, 8, 2), hour = digits(s, 11, 2);
    int64_t min = digits(s, 14, 2), sec = digits(s, 17, 2);
    int64_t part = frac ? digits(s, 20, frac) : 0;
    if (year < 0 || month < 1 || month > 12 || day < 1 || hour < 0 ||
        hour > 23 || min < 0 || min > 59 || sec < 0 || sec > 59 || part < 0)
        return false;
    int64_t days = days_of(year, month, day), y, m, d;
    date_of(days, &y, &m, &d);
    if (y != year || m != month || d != day)
        return false; /* 30 February */
    int64_t v = (days - DAYS_TO_2020) * DAY + hour * 3600 + min * 60 + sec;
    *out = wire_zigzag(v * unit + part);
    return true;
}

static void put_digits(char *out, size_t at, size_t n, int64_t v) {
    for (size_t i = at + n; i-- > at; v /= 10)
        out[i] = (char)('0' + v % 10);
}

static size_t print_datetime(uint8_t form, uint64_t wire, char *out) {
    int64_t unit, year, month, day;
    size_t frac = fraction_of(form, &unit);
    int64_t v = wire_unzigzag(wire);
    if (v > MICRO_MAX || v < -MICRO_MAX)
        return 0;
    int64_t part = v % unit;
    if (part < 0)
        part += unit;
    v = (v - part) / unit;
    int64_t sec = v % DAY;
    if (sec < 0)
        sec += DAY;
    int64_t days = (v - sec) / DAY;
    if (days < -DAYS_TO_2020 - 60 || days > 3652425 - DAYS_TO_2020)
        return 0;
    date_of(days + DAYS_TO_2020, &year, &month, &day);
    if (year < 0 || year > 9999)
        return 0;
    memcpy(out, "dddd-dd-ddTdd:dd:dd.", 20);
    put_digits(out, 0, 4, year);
    put_digits(out, 5, 2, month);
    put_digits(out, 8, 2, day);
    put_digits(out, 11, 2, sec / 3600);
    put_digits(out, 14, 2, sec / 60 % 60);
    put_digits(out, 17, 2, sec % 60);
    size_t n = 19;
    if (frac) {
        put_digits(out, 20, frac, part);
        n = 20 + frac;
    }
    out[n] = 'Z';
    return n + 1;
}

/* ---- bytes ----------------------------------------------------------------
 */

/* What a character stands for, plus 1; 0 if it stands for nothing. Tables,
 * since nothing tells a processor whether a letter or a digit comes next. */
static const uint8_t hex_digits[256] = {
    ['0'] = 1,  ['1'] = 2,  ['2'] = 3,  ['3'] = 4,  ['4'] = 5,  ['5'] = 6,
    ['6'] = 7,  ['7'] = 8,  ['8'] = 9,  ['9'] = 10, ['a'] = 11, ['b'] = 12,
    ['c'] = 13, ['d'] = 14, ['e'] = 15, ['f'] = 16,
};

static int hex_digit(char c) { return hex_digits[(uint8_t)c] - 1; }

static const char hex_chars[] = "0123456789abcdef";

static bool from_hex(struct terse_str s, uint8_t *out) {
    for (size_t i = 0; i + 1 < s.n; i += 2) {
        int hi = hex_digit(s.p[i]), lo = hex_digit(s.p[i + 1]);
        if (hi < 0 || lo < 0)
            return false;
        out[i / 2] = (uint8_t)(hi << 4 | lo);
    }
    return true;
}

/* Where the dashes of a UUID stand, RFC 4122 section 3. */
static bool uuid_dash(size_t i) {
    return i == 8 || i == 13 || i == 18 || i == 23;
}

static bool from_uuid(struct terse_str s, uint8_t *out) {
    char hex[32];
    size_t n = 0;
    for (size_t i = 0; i < 36; i++) {
        if (!uuid_dash(i))
            hex[n++] = s.p[i];
        else if (s.p[i] != '-')
            return false;
    }
    return from_hex((struct terse_str){hex, 32}, out);
}

static const char base64_chars[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                   "abcdefghijklmnopqrstuvwxyz0123456789+/";

static const uint8_t base64_digits[256] = {
    ['A'] = 1,  ['B'] = 2,  ['C'] = 3,  ['D'] = 4,  ['E'] = 5,  ['F'] = 6,
    ['G'] = 7,  ['H'] = 8,  ['I'] = 9,  ['J'] = 10, ['K'] = 11, ['L'] = 12,
    ['M'] = 13, ['N'] = 14, ['O'] = 15, ['P'] = 16, ['Q'] = 17, ['R'] = 18,
    ['S'] = 19, ['T'] = 20, ['U'] = 21, ['V'] = 22, ['W'] = 23, ['X'] = 24,
    ['Y'] = 25, ['Z'] = 26, ['a'] = 27, ['b'] = 28, ['c'] = 29, ['d'] = 30,
    ['e'] = 31, ['f'] = 32, ['g'] = 33, ['h'] = 34, ['i'] = 35, ['j'] = 36,
    ['k'] = 37, ['l'] = 38, ['m'] = 39, ['n'] = 40, ['o'] = 41, ['p'] = 42,
    ['q'] = 43, ['r'] = 44, ['s'] = 45, ['t'] = 46, ['u'] = 47, ['v'] = 48,
    ['w'] = 49, ['x'] = 50, ['y'] = 51, ['z'] = 52, ['0'] = 53, ['1'] = 54,
    ['2'] = 55, ['3'] = 56, ['4'] = 57, ['5'] = 58, ['6'] = 59, ['7'] = 60,
    ['8'] = 61, ['9'] = 62, ['+'] = 63, ['/'] = 64,
};

static int base64_digit(char c) { return base64_digits[(uint8_t)c] - 1; }

/* The last group has 1 or 2 '=' where its bytes are 2 or 1; the bits that are
 * left over must be 0, or other characters would stand for the same bytes. */
static bool from_base64_end(const char *p, uint8_t *out) {
    int a = base64_digit(p[0]), b = base64_digit(p[1]);
    bool two = p[2] != '=';
    int c = two ? base64_digit(p[2]) : 0;
    if (a < 0 || b < 0 || c < 0 || (two ? c & 3 : b & 15))
        return false;
    out[0] = (uint8_t)(a << 2 | b >> 4);
    if (two)
        out[1] = (uint8_t)(b << 4 | c >> 2);
    return true;
}

static bool from_base64(struct terse_str s, uint8_t *out) {
    size_t whole = s.p[s.n - 1] == '=' ? s.n - 4 : s.n;
    for (size_t i = 0; i < whole; i += 4, out += 3) {
        int a = base64_digit(s.p[i]), b = base64_digit(s.p[i + 1]);
        int c = base64_digit(s.p[i + 2]), d = base64_digit(s.p[i + 3]);
        if (a < 0 || b < 0 || c < 0 || d < 0)
            return false;
        out[0] = (uint8_t)(a << 2 | b >> 4);
        out[1] = (uint8_t)(b << 4 | c >> 2);
        out[2] = (uint8_t)(c << 6 | d);
    }
    return whole == s.n || from_base64_end(s.p + whole, out);
}

static void to_base64(struct terse_str bytes, char *out) {
    const uint8_t *p = (const uint8_t *)bytes.p;
    for (size_t i = 0; i < bytes.n; i += 3) {
        size_t have = bytes.n - i < 3 ? bytes.n - i : 3;
        uint32_t bits = (uint32_t)p[i] << 16;
        if (have > 1)
            bits |= (uint32_t)p[i + 1] << 8;
        if (have > 2)
            bits |= p[i + 2];
        *out++ = base64_chars[bits >> 18];
        *out++ = base64_chars[bits >> 12 & 63];
        *out++ = have > 1 ? base64_chars[bits >> 6 & 63] : '=';
        *out++ = have > 2 ? base64_chars[bits & 63] : '=';
    }
}

/* ---- the forms ------------------------------------------------------------
 */

bool value_to_varint(uint8_t form, uint8_t flags, struct terse_str s,
                     uint64_t *out) {
    bool small = flags & TABLE_32BIT;
    switch (form) {
    case FORM_DECIMAL:
        return decimal(s, small ? UINT32_MAX : UINT64_MAX, out);
    case FORM_SIGNED:
        return signed_decimal(s, small ? INT32_MAX : INT64_MAX, out);
    case FORM_BOOLEAN:
        *out = s.n == 4;
        return (s.n == 4 && memcmp(s.p, "true", 4) == 0) ||
               (s.n == 5 && memcmp(s.p, "false", 5) == 0);
    case FORM_DATETIME:
    case FORM_DATETIME_MILLI:
    case FORM_DATETIME_MICRO:
        return datetime(form, s, out);
    default:
        return false;
    }
}

size_t value_bytes_size(uint8_t form, struct terse_str s) {
    switch (form) {
    case FORM_UUID:
        return s.n == 36 ? 16 : 0;
    case FORM_HEX:
        return s.n % 2 == 0 ? s.n / 2 : 0;
    case FORM_BASE64:
        if (s.n == 0 || s.n % 4 != 0)
            return 0;
        return s.n / 4 * 3 - (s.p[s.n - 1] != '='   ? 0
                              : s.p[s.n - 2] != '=' ? 1u
                                                    : 2u);
    default:
        return 0;
    }
}

bool value_to_bytes(uint8_t form, struct terse_str s, uint8_t *out) {
    switch (form) {
    case FORM_UUID:
        return from_uuid(s, out);
    case FORM_HEX:
        return from_hex(s, out);
    case FORM_BASE64:
        return from_base64(s, out);
    default:
        return false;
    }
}

/* Whether v is in the range that value_to_varint gives with TABLE_32BIT. */
static bool in_32bit(uint8_t form, uint64_t v) {
    if (form == FORM_DECIMAL)
        return v <= UINT32_MAX;
    return v <= wire_zigzag(INT32_MAX);
}

size_t value_from_varint(uint8_t form, uint8_t flags, uint64_t v,
                         char out[VALUE_CHARS]) {
    if ((flags & TABLE_32BIT) && form <= FORM_SIGNED && !in_32bit(form, v))
        return 0;
    switch (form) {
    case FORM_DECIMAL:
        return print_decimal(v, out);
    case FORM_SIGNED: {
        int64_t i = wire_unzigzag(v);
        if (i >= 0)
            return print_decimal((uint64_t)i, out);
        if (i == INT64_MIN)
            return 0;
        out[0] = '-';
        return 1 + print_decimal((uint64_t)-i, out + 1);
    }
    case FORM_BOOLEAN:
        if (v > 1)
            return 0;
        memcpy(out, v ? "true" : "false", v ? 4 : 5);
        return v ? 4 : 5;
    case FORM_DATETIME:
    case FORM_DATETIME_MILLI:
    case FORM_DATETIME_MICRO:
        return print_datetime(form, v, out);
    default:
        return 0;
    }
}

size_t value_chars_size(uint8_t form, size_t n) {
    switch (form) {
    case FORM_UUID:
        return n == 16 ? 36 : 0;
    case FORM_HEX:
        return n * 2;
    case FORM_BASE64:
        return (n + 2) / 3 * 4;
    default:
        return 0;
    }
}

void value_from_bytes(uint8_t form, struct terse_str bytes, char *out) {
    if (form == FORM_BASE64) {
        to_base64(bytes, out);
        return;
    }
    for (size_t i = 0; i < bytes.n; i++) {
        unsigned byte = (unsigned char)bytes.p[i];
        if (form == FORM_UUID && (i == 4 || i == 6 || i == 8 || i == 10))
            *out++ = '-';
        *out++ = hex_chars[byte >> 4];
        *out++ = hex_chars[byte & 15];
    }
}
