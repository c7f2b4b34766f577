#include "../ops/hash_encode.inc"
