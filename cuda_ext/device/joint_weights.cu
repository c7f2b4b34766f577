#include "../ops/joint_weights.inc"
