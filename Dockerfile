#checkov:skip=CKV_DOCKER_2:Lambda ignores HEALTHCHECK; the release gate asks each version before it serves
# The build context is service/. No frontend directive and no cache mounts: any builder will do, an old engine's own included.
ARG BASE_IMAGE=public.ecr.aws/lambda/python:3.13

FROM ${BASE_IMAGE} AS build
WORKDIR /build
COPY requirements.txt .
# Bytecode that is never checked against its source: nothing in the image changes, and start-up takes half the time with it.
RUN python -m pip install --no-cache-dir --disable-pip-version-check --root-user-action=ignore --no-compile \
      --require-hashes --requirement requirements.txt --target packages \
 && rm -rf packages/bin \
 && python -m compileall -q --invalidation-mode unchecked-hash packages
COPY . app/service
RUN rm app/service/requirements.txt \
 && python -m compileall -q --invalidation-mode unchecked-hash app

FROM ${BASE_IMAGE}
# Dependencies first and by themselves: a change of the code pushes the code.
COPY --from=build /build/packages ${LAMBDA_TASK_ROOT}/
COPY --from=build /build/app ${LAMBDA_TASK_ROOT}/
USER 1000
CMD ["service.main.handler"]
