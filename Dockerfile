#checkov:skip=CKV_DOCKER_2:Lambda ignores HEALTHCHECK; the release gate smoke-tests each version before it serves
#checkov:skip=CKV_DOCKER_7:The tag is in the default of BASE_IMAGE, which the check does not read
# The build context is service/. No frontend directive and no cache mounts: any builder will do, an old engine's own included.
ARG BASE_IMAGE=public.ecr.aws/lambda/python:3.13
# on, or off: without service/aws_lambda/cold_start, whose two steps below may then go as well (docs/performance.md).
ARG COLD_START=on

FROM ${BASE_IMAGE} AS packages
# One date for all files: the same content is the same layer on any machine, and a layer that the registry has is not pushed.
# (In Python, because AWS's image has no find.)
ENV SET_DATES="import os, sys; [os.utime(os.path.join(d, f), (0, 0)) for d, _, fs in os.walk(sys.argv[1]) for f in ['.', *fs]]"
COPY requirements.txt /tmp/
# Bytecode that is never checked against its source: nothing in the image changes, and start-up takes half the time with it.
RUN python -m pip install --no-cache-dir --disable-pip-version-check --root-user-action=ignore --no-compile \
      --require-hashes --requirement /tmp/requirements.txt --target /dependencies${LAMBDA_TASK_ROOT} \
 && rm -rf /dependencies${LAMBDA_TASK_ROOT}/bin \
 && python -m compileall -q --invalidation-mode unchecked-hash /dependencies

FROM packages AS cold-start-off
COPY . /code${LAMBDA_TASK_ROOT}/service
RUN rm -rf /code${LAMBDA_TASK_ROOT}/service/aws_lambda/cold_start

FROM packages AS cold-start-on
# What the service calls of AWS; botocore's descriptions of all else stay out of the image.
ARG AWS_SERVICES=dynamodb
COPY aws_lambda/cold_start/trim_botocore.py /tmp/
# Without pydantic.v1, which FastAPI imports only to refuse its models, and does without where it is missing.
RUN python /tmp/trim_botocore.py /dependencies${LAMBDA_TASK_ROOT} ${AWS_SERVICES} \
 && rm -rf /dependencies${LAMBDA_TASK_ROOT}/pydantic/v1
COPY . /code${LAMBDA_TASK_ROOT}/service
RUN cd /code${LAMBDA_TASK_ROOT}/service/aws_lambda/cold_start \
 && python -B precompiled.py /dependencies${LAMBDA_TASK_ROOT} /code${LAMBDA_TASK_ROOT}/service precompiled.bin ${AWS_SERVICES} \
 && rm trim_botocore.py

FROM cold-start-${COLD_START} AS build
# Readable by the user below, whatever the umask of the checkout was.
RUN rm /code${LAMBDA_TASK_ROOT}/service/requirements.txt \
 && python -m compileall -q --invalidation-mode unchecked-hash /code \
 && chmod -R u=rwX,go=rX /code \
 && python -c "$SET_DATES" /dependencies \
 && python -c "$SET_DATES" /code

FROM ${BASE_IMAGE}
# Dependencies first and by themselves: a change of the code pushes the code. Copied to the root, so that the folders above them
# have that date, too.
COPY --from=build /dependencies /
COPY --from=build /code /
USER 1000
# What the module built the image from, for /version. Last, since it changes with every change.
ARG SOURCE_HASH=unknown
ENV SOURCE_HASH=${SOURCE_HASH}
CMD ["service.aws_lambda.handler.handler"]
