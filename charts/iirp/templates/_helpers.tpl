{{/* Helpers shared by all templates. */}}

{{- define "iirp.image" -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end }}

{{/* Labels of every object that is not generated from rbac/ or crds/. */}}
{{- define "iirp.labels" -}}
app.kubernetes.io/part-of: iirp
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end }}

{{/* JSON list: what is watched when the value names namespaces; the release's own is always part of it. */}}
{{- define "iirp.watchedNamespaces" -}}
{{ append .Values.watchNamespaces .Release.Namespace | uniq | toJson }}
{{- end }}

{{/* JSON list: namespaces of the default policy; "[]" installs none. */}}
{{- define "iirp.policyNamespaces" -}}
{{- if .Values.policies.install -}}
{{ .Values.policies.namespaces | default .Values.execution.namespaces | toJson }}
{{- else -}}
[]
{{- end -}}
{{- end }}

{{/*
policy or webhook: what makes an entry of an annotated decision. `auto` asks the API server. Rendered without one (helm template), it
is policy: an older API server then refuses the object, which is loud; a webhook where none was needed would be silent.
*/}}
{{- define "iirp.admissionMode" -}}
{{- $group := "admissionregistration.k8s.io/v1" -}}
{{- $asked := .Capabilities.APIVersions.Has (printf "%s/ValidatingAdmissionPolicy" $group) -}}
{{- $served := .Capabilities.APIVersions.Has (printf "%s/MutatingAdmissionPolicy" $group) -}}
{{- $mode := .Values.admission.mode -}}
{{- if and (eq $mode "policy") $asked (not $served) -}}
{{- fail "admission.mode is policy, but this API server does not serve MutatingAdmissionPolicy v1 (Kubernetes 1.36): set admission.mode to auto or webhook" -}}
{{- end -}}
{{- if ne $mode "auto" -}}{{ $mode }}{{- else if and $asked (not $served) -}}webhook{{- else -}}policy{{- end -}}
{{- end }}

{{/* Restricted Pod Security, for pods that need nothing. */}}
{{- define "iirp.podSecurityContext" -}}
runAsNonRoot: true
runAsUser: 65532
runAsGroup: 65532
fsGroup: 65532
seccompProfile:
  type: RuntimeDefault
{{- end }}

{{- define "iirp.securityContext" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop: [ALL]
{{- end }}

{{/* Where the controllers find the analysis server. */}}
{{- define "iirp.analysisUrl" -}}
{{- if .Values.analysis.enabled -}}
https://iirp-analysis.{{ .Release.Namespace }}.svc:8443
{{- else -}}
{{ required "external.url is required: the address of the external side, as pods reach it (`iirp external up` writes it)" .Values.external.url }}
{{- end -}}
{{- end }}

{{/* Whether there is an analysis server to be found; without one only some of the controllers can run. */}}
{{- define "iirp.hasAnalysis" -}}
{{- if or .Values.external.url .Values.analysis.enabled }}true{{ end -}}
{{- end }}

{{/* ConfigMap with the CA that the controllers trust there; empty for the CAs of the images. */}}
{{- define "iirp.analysisCa" -}}
{{- if and .Values.analysis.enabled (not .Values.analysis.tlsSecretName) -}}
iirp-analysis-ca
{{- else if .Values.external.caBundle -}}
iirp-external-ca
{{- end -}}
{{- end }}

{{/* `to` for these address ranges; nothing (any address) for none. */}}
{{- define "iirp.networkPolicy.cidrs" -}}
{{- with . -}}
to:
  {{- range . }}
  - ipBlock: {cidr: {{ . | quote }}}
  {{- end }}
{{- end }}
{{- end }}
