/* Position decides, not the words; as in sof_intel_ipc_firmware_template of Linux 6.1. */
DEFINE_EVENT(c, e, TP_ARGS(struct snd_sof_dev *sdev, u32 msg), TP_PROTO(sdev, msg));
