// A shared object of the right name that is not the CUDA library at all.
extern "C" int ringmaster_unrelated() { return 0; }
