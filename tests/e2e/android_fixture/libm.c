/* A stand-in for bionic's libm.so: it brings the build machine's along. */
extern double exp(double);
double (*const bring_along)(double) = exp;
