#include "../ops/mlp.inc"
