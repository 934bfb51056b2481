// A library that was built from other interface headers: its stamp is no digest this program can
// have.
extern "C" const char* ringmaster_cuda_stamp() { return "another build"; }
