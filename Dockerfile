#checkov:skip=CKV_DOCKER_2:Lambda ignores HEALTHCHECK; the release gate tests each version before it serves
#checkov:skip=CKV_DOCKER_7:the tag is in the default of BASE_IMAGE, which the check does not read
# The build context is service/. No syntax directive and no cache mounts, so that any builder works, even an old engine's own.
ARG BASE_IMAGE=public.ecr.aws/lambda/python:3.13
# on or off. off leaves out service/aws_lambda/cold_start; its two steps below may then be deleted as well (docs/performance.md).
ARG COLD_START=on

FROM ${BASE_IMAGE} AS packages
# One date for all files, so that equal content is the same layer on any machine, and an existing layer is not pushed again.
# (In Python, because AWS's image has no find.)
ENV SET_DATES="import os, sys; [os.utime(os.path.join(d, f), (0, 0)) for d, _, fs in os.walk(sys.argv[1]) for f in ['.', *fs]]"
COPY requirements.txt /tmp/
# Unchecked bytecode: nothing in the image changes, and start-up takes half the time.
RUN python -m pip install --no-cache-dir --disable-pip-version-check --root-user-action=ignore --no-compile \
      --require-hashes --requirement /tmp/requirements.txt --target /dependencies${LAMBDA_TASK_ROOT} \
 && rm -rf /dependencies${LAMBDA_TASK_ROOT}/bin \
 && python -m compileall -q --invalidation-mode unchecked-hash /dependencies

FROM packages AS cold-start-off
COPY . /code${LAMBDA_TASK_ROOT}/service
RUN rm -rf /code${LAMBDA_TASK_ROOT}/service/aws_lambda/cold_start

FROM packages AS cold-start-on
# AWS services that the API calls; botocore's descriptions of all others stay out of the image.
ARG AWS_SERVICES=dynamodb
COPY aws_lambda/cold_start/trim_botocore.py /tmp/
RUN python /tmp/trim_botocore.py /dependencies${LAMBDA_TASK_ROOT} ${AWS_SERVICES}
COPY . /code${LAMBDA_TASK_ROOT}/service
RUN cd /code${LAMBDA_TASK_ROOT}/service/aws_lambda/cold_start \
 && python -B precompiled.py /dependencies${LAMBDA_TASK_ROOT} /code${LAMBDA_TASK_ROOT}/service precompiled.bin ${AWS_SERVICES} \
 && rm trim_botocore.py

FROM cold-start-${COLD_START} AS build
# Readable by the user below, whatever the checkout's umask.
RUN rm /code${LAMBDA_TASK_ROOT}/service/requirements.txt \
 && python -m compileall -q --invalidation-mode unchecked-hash /code \
 && chmod -R u=rwX,go=rX /code \
 && python -c "$SET_DATES" /dependencies \
 && python -c "$SET_DATES" /code

FROM ${BASE_IMAGE}
# Dependencies first, in their own layer: a code change pushes only the code. Copied to the root, so that parent folders
# have that date, too.
COPY --from=build /dependencies /
COPY --from=build /code /
USER 1000
# Hash of the source, for /version. Last, since every edit changes it.
ARG SOURCE_HASH=unknown
ENV SOURCE_HASH=${SOURCE_HASH}
CMD ["service.aws_lambda.handler.handler"]
