#include "../ops/project_flow.inc"
