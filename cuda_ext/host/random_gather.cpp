#include "../ops/random_gather.inc"
