#include "../ops/flow_sample.inc"
