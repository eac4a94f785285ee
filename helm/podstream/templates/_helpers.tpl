{{- define "podstream.fullname" -}}
{{- .Values.fullnameOverride | default .Release.Name | trunc 40 | trimSuffix "-" -}}
{{- end -}}

{{- define "podstream.operator.name" -}}{{ include "podstream.fullname" . }}-operator{{- end -}}
{{- define "podstream.router.name" -}}{{ include "podstream.fullname" . }}-router{{- end -}}

{{/* Not the operator's own name: a Service that had an address cannot become one without. */}}
{{- define "podstream.operator.service" -}}{{ include "podstream.operator.name" . }}-replicas{{- end -}}

{{/* Host names of the Services as every pod of the cluster resolves them. */}}
{{- define "podstream.operator.host" -}}
{{ include "podstream.operator.service" . }}.{{ .Release.Namespace }}.svc
{{- end -}}
{{- define "podstream.router.host" -}}
{{ include "podstream.router.name" . }}.{{ .Release.Namespace }}.svc
{{- end -}}

{{/* Every address of the name is one replica, ready or not. */}}
{{- define "podstream.router.peersHost" -}}
{{ include "podstream.router.name" . }}-peers.{{ .Release.Namespace }}.svc
{{- end -}}

{{- define "podstream.operator.serviceAccountName" -}}
{{- if .Values.rbac.create -}}
{{ include "podstream.operator.name" . }}
{{- else -}}
{{ required "operator.serviceAccountName is needed where rbac.create is false" .Values.operator.serviceAccountName }}
{{- end -}}
{{- end -}}

{{- define "podstream.router.serviceAccountName" -}}
{{- if .Values.rbac.create -}}
{{ include "podstream.router.name" . }}
{{- else -}}
{{ required "router.serviceAccountName is needed where rbac.create is false" .Values.router.serviceAccountName }}
{{- end -}}
{{- end -}}

{{- define "podstream.keys.secretName" -}}
{{- .Values.keys.existingSecret | default (printf "%s-keys" (include "podstream.fullname" .)) -}}
{{- end -}}

{{/* Labels by which Services and policies select; argument: dict root, component. */}}
{{- define "podstream.selectorLabels" -}}
app.kubernetes.io/name: podstream
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .component }}
{{- end -}}

{{/* Labels of every object; argument: dict root, component. */}}
{{- define "podstream.labels" -}}
{{ include "podstream.selectorLabels" . }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/part-of: podstream
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name (.root.Chart.Version | replace "+" "_") }}
{{- end -}}

{{/* Reference to an image; argument: dict root, image. */}}
{{- define "podstream.image" -}}
{{- if .image.digest -}}
{{ .image.repository }}@{{ .image.digest }}
{{- else -}}
{{ .image.repository }}:{{ .image.tag | default .root.Chart.AppVersion }}
{{- end -}}
{{- end -}}

{{/* Namespaces whose sessions are served, as a JSON list. */}}
{{- define "podstream.namespaces" -}}
{{- .Values.watchNamespaces | default (list .Release.Namespace) | uniq | toJson -}}
{{- end -}}

{{/* Port that the router's container listens on; argument: a listener. */}}
{{- define "podstream.targetPort" -}}
{{- if .targetPort -}}
{{ int .targetPort }}
{{- else if lt (int .port) 1024 -}}
{{ add (int .port) 10000 }}
{{- else -}}
{{ int .port }}
{{- end -}}
{{- end -}}

{{/* The listeners as the router reads them. Two that share a name or port are refused by name. */}}
{{- define "podstream.listeners" -}}
{{- $out := list -}}
{{- $seen := list "name media" "port 8082 in the container (the router's admin port)" -}}
{{- range .Values.router.listeners -}}
{{- $target := include "podstream.targetPort" . | int -}}
{{- $mine := list (printf "name %s" .name) (printf "port %d" (int .port)) -}}
{{- $inside := printf "port %d in the container" $target -}}
{{- if eq $target 8082 -}}
{{- $inside = "port 8082 in the container (the router's admin port)" -}}
{{- end -}}
{{- $mine = append $mine $inside -}}
{{- with .nodePort -}}{{- $mine = append $mine (printf "nodePort %d" (int .)) -}}{{- end -}}
{{- range $mine -}}
{{- if has . $seen -}}
{{- fail (printf "router.listeners: %s is taken twice, choose another" .) -}}
{{- end -}}
{{- end -}}
{{- $seen = concat $seen $mine -}}
{{- $out = append $out (dict "name" .name "port" (int .port) "protocol" .protocol "targetPort" $target) -}}
{{- end -}}
{{- $out | toJson -}}
{{- end -}}

{{/* Service port of the first listener of a protocol, or nothing; argument: dict root, protocol. */}}
{{- define "podstream.firstPort" -}}
{{- $port := "" -}}
{{- range .root.Values.router.listeners -}}
{{- if and (not $port) (eq .protocol $.protocol) -}}{{- $port = int .port -}}{{- end -}}
{{- end -}}
{{- $port -}}
{{- end -}}

{{- define "podstream.clusterUrl" -}}
{{- $port := include "podstream.firstPort" (dict "root" . "protocol" "http") -}}
{{- if not $port -}}
{{- fail "router.listeners needs at least one listener with protocol http: sessions are reached through it" -}}
{{- end -}}
http://{{ include "podstream.router.host" . }}:{{ $port }}
{{- end -}}

{{- define "podstream.clusterSignallingAddress" -}}
{{- with include "podstream.firstPort" (dict "root" . "protocol" "signalling") -}}
{{ include "podstream.router.host" $ }}:{{ . }}
{{- end -}}
{{- end -}}

{{- define "podstream.clusterGrpcAddress" -}}
{{- with include "podstream.firstPort" (dict "root" . "protocol" "grpc") -}}
{{ include "podstream.router.host" $ }}:{{ . }}
{{- end -}}
{{- end -}}

{{- define "podstream.clusterFramesAddress" -}}
{{- with include "podstream.firstPort" (dict "root" . "protocol" "tcp") -}}
{{ include "podstream.router.host" $ }}:{{ . }}
{{- end -}}
{{- end -}}

{{/* Addresses of the media port, as a JSON list: from outside first, then the Service. */}}
{{- define "podstream.mediaAdvertise" -}}
{{- $all := .Values.router.media.advertise -}}
{{- if .Values.router.media.advertiseService -}}
{{- $all = append $all (printf "%s:%d" (include "podstream.router.host" .) (int .Values.router.media.port)) -}}
{{- end -}}
{{- if not $all -}}
{{- fail "router.media.advertise is empty and advertiseService is false: no client could send media" -}}
{{- end -}}
{{- $all | uniq | toJson -}}
{{- end -}}

{{/*
A container's env: what the chart sets, then extraEnv. Server-side apply refuses one name twice,
so say it here, with the name. Argument: dict component, env (YAML list), extra.
*/}}
{{- define "podstream.env" -}}
{{- $own := .env | fromYamlArray -}}
{{- $names := list -}}
{{- range $own -}}{{- $names = append $names .name -}}{{- end -}}
{{- range .extra -}}
{{- if has .name $names -}}
{{- fail (printf "%s.extraEnv must not set %s: the chart sets it, or it is listed twice" $.component .name) -}}
{{- end -}}
{{- $names = append $names .name -}}
{{- end -}}
{{- concat $own .extra | toYaml -}}
{{- end -}}

{{/* Environment that operator and router share. */}}
{{- define "podstream.commonEnv" -}}
- name: POD_NAME
  valueFrom: {fieldRef: {fieldPath: metadata.name}}
- name: POD_NAMESPACE
  valueFrom: {fieldRef: {fieldPath: metadata.namespace}}
- name: PODSTREAM_WATCH_NAMESPACES
  value: {{ include "podstream.namespaces" . | fromJsonArray | join "," | quote }}
- name: PODSTREAM_KEYS_DIR
  value: /etc/podstream/keys
- name: PODSTREAM_LOG_LEVEL
  value: {{ .Values.logging.level | quote }}
- name: PODSTREAM_LOG_FORMAT
  value: {{ .Values.logging.format | quote }}
{{- end -}}

{{/* Pod and container security of the restricted Pod Security Standard. */}}
{{- define "podstream.podSecurityContext" -}}
runAsNonRoot: true
runAsUser: 65532
runAsGroup: 65532
fsGroup: 65532
seccompProfile:
  type: RuntimeDefault
{{- end -}}

{{- define "podstream.securityContext" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop: [ALL]
{{- end -}}

{{/* Where a component's pods run; argument: its values. */}}
{{- define "podstream.placement" -}}
{{- with .priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- with .nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .affinity }}
affinity:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{/* How a component's replicas are spread; argument: dict values, labels. */}}
{{- define "podstream.spread" -}}
{{- if .values.topologySpreadConstraints -}}
{{- toYaml .values.topologySpreadConstraints -}}
{{- else -}}
- maxSkew: 1
  topologyKey: kubernetes.io/hostname
  whenUnsatisfiable: ScheduleAnyway
  labelSelector:
    matchLabels:
      {{- include "podstream.selectorLabels" .labels | nindent 6 }}
{{- end -}}
{{- end -}}
