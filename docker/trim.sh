#!/bin/sh
# What no step reads goes out of an environment: the packages' own tests, headers, static libraries, type stubs, and
# services of AWS that are not asked. `trim.sh ENVIRONMENT`, before the imports that show it still stands.
set -eu
cd "$1"/lib/python3*/site-packages

find . -depth -type d \( -name tests -o -path ./torch/test -o -path ./torch/include -o -path ./torch/share \
    -o -path ./pyarrow/include -o -path ./pyarrow/src \) -exec rm -rf {} +
# Triton and what builds on it compile on the GPU machine, where an image lets them: there the headers stay.
[ -d triton ] || find . -type f \( -name '*.a' -o -name '*.pyi' -o -name '*.pxd' -o -name '*.pyx' -o -name '*.h' \
    -o -name '*.hpp' -o -name '*.cuh' -o -name '*.lib' \) -delete
if [ -d torch/bin ]; then
    find torch/bin -mindepth 1 ! -name torch_shm_manager -exec rm -rf {} +  # torch asks for this one as it is imported
    rm -f torch/lib/libtorchbind_test.so torch/lib/libjitbackend_test.so torch/lib/libbackend_with_compiler.so
fi
rm -f pyarrow/*flight* pyarrow/*_cpp_tests*
if [ -d botocore/data ]; then
    find botocore/data -mindepth 1 -maxdepth 1 -type d \
        ! -name s3 ! -name sts ! -name sso ! -name sso-oidc ! -name signin -exec rm -rf {} +
fi
