{{/* Image of an agent: dict "root" $ "image" (repository, tag). */}}
{{- define "iirp.telemetry.image" -}}
{{ .image.repository }}:{{ .image.tag | default .root.Chart.AppVersion }}
{{- end }}

{{/* Where agents send to, without a trailing slash. */}}
{{- define "iirp.telemetry.url" -}}
{{ required "external.url is required: the address of the external side, as pods reach it (`iirp external up` writes it)" .Values.external.url | trimSuffix "/" }}
{{- end }}

{{/* Volumes for the token and the CA: dict "root" $ "account" NAME. */}}
{{- define "iirp.telemetry.volumes" -}}
- name: external-token
  {{- if .root.Values.external.tokenSecretName }}
  secret:
    secretName: {{ .root.Values.external.tokenSecretName }}
    items:
      - key: {{ .account }}
        path: token
  {{- else }}
  projected:
    sources:
      - serviceAccountToken:
          audience: {{ .root.Values.external.audience }}
          expirationSeconds: 3600
          path: token
  {{- end }}
{{- if .root.Values.external.caBundle }}
- name: external-ca
  configMap:
    name: iirp-external-ca
{{- end }}
{{- end }}

{{- define "iirp.telemetry.mounts" -}}
- name: external-token
  mountPath: /var/run/secrets/iirp
  readOnly: true
{{- if .Values.external.caBundle }}
- name: external-ca
  mountPath: /etc/iirp/ca
  readOnly: true
{{- end }}
{{- end }}

{{/* Pod fields that all agents share: dict "root" $. */}}
{{- define "iirp.telemetry.pod" -}}
enableServiceLinks: false
{{- with .Values.imagePullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- with .Values.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.telemetry.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{/* Exporter to Loki behind the gateway, with a queue on disk and no end of retrying. */}}
{{- define "iirp.telemetry.lokiExporter" -}}
otlphttp/loki:
  logs_endpoint: {{ include "iirp.telemetry.url" . }}/otlp/v1/logs
  auth: {authenticator: bearertokenauth}
  compression: gzip
  timeout: 20s
  {{- if .Values.external.caBundle }}
  tls: {ca_file: /etc/iirp/ca/ca.crt}
  {{- end }}
  # An outage may last: requests wait on disk and are retried for ever. Only 429, 502, 503 and 504 are retried; the gateway
  # answers 503 whenever something behind it is down.
  retry_on_failure: {enabled: true, initial_interval: 1s, max_interval: 10s, max_elapsed_time: 0s}
  sending_queue:
    enabled: true
    storage: file_storage
    num_consumers: 4
    queue_size: {{ .Values.telemetry.logs.queueSize }}
{{- end }}

{{/* Extensions and self-metrics of a collector. */}}
{{- define "iirp.telemetry.extensions" -}}
bearertokenauth:
  filename: /var/run/secrets/iirp/token
health_check:
  endpoint: 0.0.0.0:13133
file_storage:
  directory: /var/lib/otelcol
  timeout: 5s
  compaction: {on_start: true, on_rebound: true, directory: /var/lib/otelcol, cleanup_on_start: true}
{{- end }}

{{- define "iirp.telemetry.collectorTelemetry" -}}
logs: {level: warn, encoding: json}
metrics: {level: normal, address: "0.0.0.0:8888"}
{{- end }}

{{/* Labels by which ingress controllers are known, as an anchored regular expression. */}}
{{- define "iirp.telemetry.ingressRegex" -}}
{{ .Values.telemetry.metrics.ingressNames | join "|" }}
{{- end }}

{{/* Scrape jobs; the same for Prometheus and for an OTel Collector's prometheus receiver. */}}
{{- define "iirp.telemetry.scrapeConfigs" -}}
{{- $metrics := .Values.telemetry.metrics -}}
# Node: the kubelet itself, at the node's address, with this ServiceAccount's token.
- job_name: kubelet
  scheme: https
  authorization: &account {credentials_file: /var/run/secrets/kubernetes.io/serviceaccount/token}
  tls_config: &kubelet
    {{- if $metrics.kubelet.insecureSkipVerify }}
    insecure_skip_verify: true
    {{- else }}
    ca_file: /var/run/secrets/kubernetes.io/serviceaccount/ca.crt
    {{- end }}
  kubernetes_sd_configs: [{role: node}]
  relabel_configs: &node
    - {source_labels: [__meta_kubernetes_node_name], target_label: node}
  metric_relabel_configs:
    - {source_labels: [__name__], action: keep, regex: {{ $metrics.kubeletKeep | join "|" | quote }}}
# Containers: cAdvisor inside the kubelet.
- job_name: cadvisor
  scheme: https
  metrics_path: /metrics/cadvisor
  authorization: *account
  tls_config: *kubelet
  # With cAdvisor's own timestamps, a sample that is scraped twice is refused by the agent as a repetition, and with it goes the
  # proof of life: the series would end and begin anew every few seconds. Scrape time is late by one housekeeping at most.
  honor_timestamps: false
  kubernetes_sd_configs: [{role: node}]
  relabel_configs: *node
  metric_relabel_configs:
    - {source_labels: [__name__], action: keep, regex: {{ $metrics.cadvisorKeep | join "|" | quote }}}
    # Cgroups without a pod are the node's business, which node_exporter tells better; a pod's own cgroup is the sum of its
    # containers'. Only network belongs to the pod as a whole.
    - {source_labels: [__name__, namespace], action: drop, regex: "container_.+;"}
    - {source_labels: [__name__, container], action: drop, regex: "container_(memory|cpu|spec|start|oom|fs|pressure)_.+;(POD)?"}
    # `name`, the container's id, stays: a restarted container is a new series.
    - {regex: "image|id", action: labeldrop}
{{- if .Values.telemetry.nodeExporter.enabled }}
- job_name: node
  kubernetes_sd_configs:
    - role: pod
      namespaces: {names: [{{ .Release.Namespace }}]}
      selectors: [{role: pod, label: app.kubernetes.io/name=iirp-node-exporter}]
  relabel_configs:
    - {source_labels: [__meta_kubernetes_pod_node_name], target_label: node}
{{- end }}
# Applications, and the platform's own parts: pods that ask for it by annotation.
- job_name: pods
  kubernetes_sd_configs: [{role: pod}]
  relabel_configs:
    - {source_labels: [__meta_kubernetes_pod_label_app_kubernetes_io_name], action: drop, regex: {{ include "iirp.telemetry.ingressRegex" . | quote }}}
    {{- include "iirp.telemetry.annotated" . | nindent 4 }}
# Ingress controllers: the same, under a job of their own.
- job_name: ingress
  kubernetes_sd_configs: [{role: pod}]
  relabel_configs:
    - {source_labels: [__meta_kubernetes_pod_label_app_kubernetes_io_name], action: keep, regex: {{ include "iirp.telemetry.ingressRegex" . | quote }}}
    {{- include "iirp.telemetry.annotated" . | nindent 4 }}
{{- with $metrics.extraScrapeConfigs }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{/* Targets by prometheus.io annotations. Several ports of a pod collapse into one target once the port is the annotated one. */}}
{{- define "iirp.telemetry.annotated" -}}
- {source_labels: [__meta_kubernetes_pod_annotation_prometheus_io_scrape], action: keep, regex: "true"}
- {source_labels: [__meta_kubernetes_pod_phase], action: drop, regex: "Pending|Succeeded|Failed"}
- {source_labels: [__address__, __meta_kubernetes_pod_annotation_prometheus_io_port], regex: '(.+?)(?::[0-9]+)?;([0-9]+)', target_label: __address__, replacement: "$1:$2"}
- {source_labels: [__meta_kubernetes_pod_annotation_prometheus_io_path], regex: '(.+)', target_label: __metrics_path__}
- {source_labels: [__meta_kubernetes_pod_annotation_prometheus_io_scheme], regex: '(https?)', target_label: __scheme__}
- {source_labels: [__meta_kubernetes_namespace], target_label: namespace}
- {source_labels: [__meta_kubernetes_pod_name], target_label: pod}
- {source_labels: [__meta_kubernetes_pod_node_name], target_label: node}
- {source_labels: [__meta_kubernetes_pod_label_app_kubernetes_io_name], target_label: app}
- {source_labels: [__meta_kubernetes_pod_label_app_kubernetes_io_component], target_label: component}
{{- end }}
