{{/* What pods are found by. Takes the name of an application: hub or worker. */}}
{{- define "kubeshark.selector" -}}
app.kubeshark.co/app: {{ . }}
{{- end }}

{{/* The labels of everything, and the user's own. Takes a dict: root, and app where it belongs to one. */}}
{{- define "kubeshark.labels" -}}
{{- with .app }}
{{ include "kubeshark.selector" . }}
{{- end }}
app.kubernetes.io/name: kubeshark
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
{{- with merge (dict) .root.Values.tap.labels (.root.Values.resourceLabels | default dict) }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{/* name, namespace, labels and annotations of an object. Takes a dict: root, name, and app, namespace, annotations where
it has them; `cluster` for one that is in no namespace. */}}
{{- define "kubeshark.metadata" -}}
name: {{ .name }}
{{- if not .cluster }}
namespace: {{ .namespace | default .root.Release.Namespace }}
{{- end }}
labels:
  {{- include "kubeshark.labels" . | trim | nindent 2 }}
{{- with merge (dict) (.annotations | default dict) .root.Values.tap.annotations }}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{- define "kubeshark.workerNamespace" -}}
{{ .Values.tap.workerNamespace | default .Release.Namespace }}
{{- end }}

{{/* The namespaces that a hub without a ClusterRole watches, as a list in JSON. */}}
{{- define "kubeshark.watched" -}}
{{ .Values.tap.namespaces | default (list .Release.Namespace) | uniq | toJson }}
{{- end }}

{{/* What scripts may reach and whom they trust, as the processes that run them read it. */}}
{{- define "kubeshark.scriptsEnv" -}}
- name: KUBESHARK_SCRIPTS_ALLOW_METADATA
  value: {{ .Values.scripting.allowMetadata | quote }}
{{- if .Values.scripting.ca }}
- name: KUBESHARK_SCRIPTS_CA
  value: /etc/kubeshark/scripts-ca/ca.pem
{{- end }}
{{- end }}

{{- define "kubeshark.image" -}}
{{ .Values.tap.docker.registry | trimSuffix "/" }}/kubeshark:{{ .Values.tap.docker.tag | default .Chart.AppVersion }}
{{- end }}

{{- define "kubeshark.pullSecrets" -}}
{{- with .Values.tap.docker.imagePullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ if kindIs "string" . }}{{ . }}{{ else }}{{ .name }}{{ end }}
  {{- end }}
{{- end }}
{{- end }}

{{/* limits and requests, without those left empty. */}}
{{- define "kubeshark.resources" -}}
{{- range $kind, $amounts := . }}
{{ $kind }}:
  {{- range $what, $amount := $amounts }}
  {{- if toString $amount }}
  {{ $what }}: {{ $amount | quote }}
  {{- end }}
  {{- end }}
{{- end }}
{{- end }}

{{/* A container that writes nowhere but into its volumes and gains nothing by what it executes. Takes what it adds. */}}
{{- define "kubeshark.confined" -}}
privileged: false
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop: [ALL]
{{- end }}

{{/* Fills tap.keys: with those given; else with those that the release has; else with new ones. */}}
{{- define "kubeshark.keys" -}}
{{- $keys := .Values.tap.keys }}
{{- $given := compact (list $keys.ca $keys.hubCert $keys.hubKey $keys.workerCert $keys.workerKey) }}
{{- if and $given (ne (len $given) 5) }}
{{- fail "tap.keys: give all of ca, hubCert, hubKey, workerCert and workerKey, or none" }}
{{- end }}
{{- if not $given }}
{{- $hub := lookup "v1" "Secret" .Release.Namespace "kubeshark-hub-keys" }}
{{- $worker := lookup "v1" "Secret" (include "kubeshark.workerNamespace" .) "kubeshark-worker-keys" }}
{{- if and $hub $worker (eq (index $hub.data "ca.crt") (index $worker.data "ca.crt")) }}
{{- $_ := set $keys "ca" (index $hub.data "ca.crt" | b64dec) }}
{{- $_ := set $keys "hubCert" (index $hub.data "tls.crt" | b64dec) }}
{{- $_ := set $keys "hubKey" (index $hub.data "tls.key" | b64dec) }}
{{- $_ := set $keys "workerCert" (index $worker.data "tls.crt" | b64dec) }}
{{- $_ := set $keys "workerKey" (index $worker.data "tls.key" | b64dec) }}
{{- else }}
{{- /* Workers are called by the addresses of nodes, which nobody knows yet: what counts is the name. */}}
{{- $authority := genCA "kubeshark" 3650 }}
{{- $hub := genSignedCert "kubeshark-hub" nil (list "kubeshark-hub") 3650 $authority }}
{{- $worker := genSignedCert "kubeshark-worker" nil (list "kubeshark-worker") 3650 $authority }}
{{- $_ := set $keys "ca" $authority.Cert }}
{{- $_ := set $keys "hubCert" $hub.Cert }}
{{- $_ := set $keys "hubKey" $hub.Key }}
{{- $_ := set $keys "workerCert" $worker.Cert }}
{{- $_ := set $keys "workerKey" $worker.Key }}
{{- end }}
{{- end }}
{{- end }}
