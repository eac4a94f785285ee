{{/* Environment of the operator beside the shared part. */}}
{{- define "podstream.operator.env" -}}
- name: POD_UID
  valueFrom: {fieldRef: {fieldPath: metadata.uid}}
- name: PODSTREAM_LEASE_NAME
  value: {{ include "podstream.operator.name" . | quote }}
- name: PODSTREAM_HTTP_PORT
  value: "8081"
- name: PODSTREAM_SESSION_IMAGE
  value: {{ include "podstream.image" (dict "root" . "image" .Values.session.image) | quote }}
- name: PODSTREAM_TRACKING_IMAGE
  value: {{ include "podstream.image" (dict "root" . "image" .Values.session.trackingImage) | quote }}
- name: PODSTREAM_SESSION_IMAGE_PULL_POLICY
  value: {{ .Values.session.image.pullPolicy | quote }}
- name: PODSTREAM_SESSION_RESOURCES
  value: {{ .Values.session.resources | toJson | quote }}
- name: PODSTREAM_ROUTER_URL
  value: {{ include "podstream.clusterUrl" . | quote }}
- name: PODSTREAM_EXTERNAL_URL
  value: {{ .Values.externalUrl | default (include "podstream.clusterUrl" .) | trimSuffix "/" | quote }}
{{- with include "podstream.clusterSignallingAddress" . }}
- name: PODSTREAM_SIGNALLING_ADDRESS
  value: {{ $.Values.externalSignallingAddress | default . | quote }}
- name: PODSTREAM_SIGNALLING_CLUSTER_ADDRESS
  value: {{ . | quote }}
{{- end }}
{{- with include "podstream.clusterGrpcAddress" . }}
- name: PODSTREAM_GRPC_ADDRESS
  value: {{ $.Values.externalGrpcAddress | default . | quote }}
- name: PODSTREAM_GRPC_CLUSTER_ADDRESS
  value: {{ . | quote }}
{{- end }}
{{- with include "podstream.clusterFramesAddress" . }}
- name: PODSTREAM_FRAMES_ADDRESS
  value: {{ $.Values.externalFramesAddress | default . | quote }}
- name: PODSTREAM_FRAMES_CLUSTER_ADDRESS
  value: {{ . | quote }}
{{- end }}
- name: PODSTREAM_RESYNC_SECONDS
  value: {{ .Values.operator.resyncSeconds | quote }}
- name: PODSTREAM_POOL_MAX_STARTING
  value: {{ .Values.operator.poolMaxStarting | quote }}
- name: PODSTREAM_MAX_SESSIONS_PER_NAMESPACE
  value: {{ .Values.limits.maxSessionsPerNamespace | int | quote }}
{{- end -}}

{{/* Environment of the router beside the shared part. */}}
{{- define "podstream.router.env" -}}
- name: POD_IP
  valueFrom: {fieldRef: {fieldPath: status.podIP}}
- name: PODSTREAM_LISTENERS
  value: {{ include "podstream.listeners" . | quote }}
{{- with .Values.router.tls }}
{{- if .secretName }}
- name: PODSTREAM_TLS_DIR
  value: /etc/podstream/tls
- name: PODSTREAM_TLS_REQUIRED
  value: {{ .required | quote }}
{{- else if .required }}
{{- fail "router.tls.required needs router.tls.secretName: without a certificate no client could connect" }}
{{- end }}
{{- end }}
- name: PODSTREAM_MEDIA_PORT
  value: {{ .Values.router.media.port | quote }}
- name: PODSTREAM_MEDIA_ADVERTISE
  value: {{ include "podstream.mediaAdvertise" . | quote }}
- name: PODSTREAM_OPERATOR_URL
  value: {{ printf "http://%s:8081" (include "podstream.operator.host" .) | quote }}
- name: PODSTREAM_PEERS
  value: {{ printf "%s:8082" (include "podstream.router.peersHost" .) | quote }}
- name: PODSTREAM_HOLD_TIMEOUT_SECONDS
  value: {{ .Values.router.holdTimeoutSeconds | quote }}
- name: PODSTREAM_DRAIN_SECONDS
  value: {{ .Values.router.drainSeconds | quote }}
- name: PODSTREAM_MAX_CONNECTIONS
  value: {{ .Values.router.limits.connections | int | quote }}
- name: PODSTREAM_MAX_CONNECTIONS_PER_SOURCE
  value: {{ .Values.router.limits.connectionsPerSource | int | quote }}
- name: PODSTREAM_MAX_HELD
  value: {{ .Values.router.limits.held | int | quote }}
- name: PODSTREAM_MAX_REQUESTS_PER_SECOND
  value: {{ .Values.router.limits.requestsPerSecond | quote }}
- name: PODSTREAM_DASHBOARD_ADMIN_LOGIN
  value: {{ .Values.router.dashboard.adminLogin | quote }}
- name: PODSTREAM_MAX_DASHBOARD_STREAMS
  value: {{ .Values.router.limits.dashboardStreams | int | quote }}
- name: PODSTREAM_MAX_FLOWS
  value: {{ .Values.router.limits.flows | int | quote }}
- name: PODSTREAM_MAX_SESSIONS_PER_NAMESPACE
  value: {{ .Values.limits.maxSessionsPerNamespace | int | quote }}
- name: PODSTREAM_ADMIN_PORT
  value: "8082"
{{- end -}}
